// LiteRT, from the npm package @litertjs/core, with its WebAssembly out of this page instead of from a server.
// The builder puts the package's two scripts into the functions `loader` and `library` (see ../build.py).
import { library, loader } from "@litertjs/core";

/** The runtime's functions, once it runs the WebAssembly that it is given. */
export async function loadRuntime(wasmBinary) {
  // Or the runtime would wake the graphics processor, which it is not asked to use.
  Object.defineProperty(navigator, "gpu", { value: undefined, configurable: true });
  const start = loader();
  // Stands in for @litertjs/wasm-utils, which would fetch the script that is here already.
  const options = { wasmBinary, locateFile: (name) => name, printErr: () => {} }; // it tells of its start as of errors
  const createWasmLib = async (Library) => new Library(await start(options));
  const litert = library(createWasmLib);
  await litert.loadLiteRt("");
  return litert;
}
