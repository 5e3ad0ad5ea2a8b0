-- Numbers, references, tables and boxes, settled once for the page (HTML) and the print (Typst).
-- Each cell comes as a Div .cell that says where it is, for messages; one BATIK line on stderr is an error.

local stringify = pandoc.utils.stringify
local Str, Space, Plain = pandoc.Str, pandoc.Space, pandoc.Plain
local html = FORMAT:match 'html' ~= nil
local words = { fig = 'Figure', tbl = 'Table', sec = 'Section' }
local sides = { AlignRight = 'right', AlignCenter = 'center' }
local numbers, places, keys = {}, {}, {}
local where, prefix, alone, cites = 'the report', '', false, nil
local references, front = false, {}

local TEXT_POINTS = 16 / 2.54 * 72 -- the print's column
local TYPE_SIZE = 9 -- points, of the print's tables; wide ones get less
local SHORT_CELL = 16 -- characters: such cells are never broken, not even in a table too wide for the page
local NUMBER_CELL = 22 -- characters: the same for numbers and their intervals
local LONG_CELL = 48 -- characters: a column of sentences, which gets room on a narrow screen
local LONG_TABLE = 20 -- lines, as far as they can be told beforehand: a longer table may break over pages
local PAGE, SENTENCE = 100, 22 -- characters of the page's column, and of one of sentences in it, about
local HIGH = 20 -- rows from which on a table of the page is scrolled under its head on a phone
local LINE = 44 -- characters that a column of sentences holds in a line, about
local BREAK = 24 -- characters: the print breaks a word that is longer, such as a file's name

local function fail(text, id, known)
  local names = pandoc.List {}
  for name in pairs(known or {}) do names:insert(name) end
  io.stderr:write('\nBATIK', pandoc.json.encode { text = where .. ': ' .. text, id = id, known = names }, '\n')
  os.exit(1)
end

local function typst(code) return pandoc.RawInline('typst', code) end

local function boxed(opening, blocks, closing)
  local out = pandoc.Blocks { pandoc.RawBlock('typst', opening) }
  out:extend(blocks)
  out:insert(pandoc.RawBlock('typst', closing))
  return out
end

local function quoted(text) return '"' .. text:gsub('[\\"]', '\\%0') .. '"' end

local function caption(blocks, id)
  local out = pandoc.Inlines {}
  if html then
    local number = Str(words[id:sub(1, 3)] .. '\u{a0}' .. numbers[id] .. '.')
    out:extend { pandoc.Span(number, { class = 'number' }), Space() }
  end
  if prefix ~= '' then out:extend { pandoc.Emph(pandoc.Inlines(prefix .. '.')), Space() } end
  out:extend(pandoc.utils.blocks_to_inlines(blocks, { Space() }))
  return { long = { Plain(out) } }
end

-- Before all: a number and its per cent stay in one line, and what stands between two numbers with both.

local between = { ['×'] = true, ['±'] = true, ['→'] = true, ['<'] = true, ['>'] = true, ['='] = true }
local percents = {
  Inlines = function(inlines)
    for i = 2, #inlines - 1 do
      local before, space, after = inlines[i - 1], inlines[i].t, inlines[i + 1]
      if before.t == 'Str' and after.t == 'Str' and (space == 'Space' or space == 'SoftBreak') then
        local sign = before.text:match '%d$' and after.text:match '^%%'
        if sign or between[before.text] or between[after.text] then inlines[i] = Str '\u{a0}' end
      end
    end
    return inlines
  end,
}

-- First pass: every heading, figure and table gets its number, in reading order.

local count, levels = { fig = 0, tbl = 0 }, { 0, 0, 0, 0, 0, 0 }

local function adopt(id, number)
  if places[id] then fail(("the anchor '%s' is taken already (%s)"):format(id, places[id])) end
  places[id], numbers[id] = where, number
end

local function counted(id)
  count[id:sub(1, 3)] = count[id:sub(1, 3)] + 1
  adopt(id, tostring(count[id:sub(1, 3)]))
end

local number = {
  traverse = 'topdown',
  Div = function(div)
    where = div.attributes.where or where
    references = references or div.identifier == 'refs'
    if div.classes:includes 'figure' then counted(div.identifier) end
  end,
  Table = function(t)
    if not t.identifier:match '^tbl%-' then
      local said = stringify(t.caption.long)
      fail(('a table (%s) has no anchor: write ": Caption {#tbl-name}" under it'):format(
        said == '' and 'without a caption' or said))
    end
    counted(t.identifier)
  end,
  Header = function(h)
    if h.classes:includes 'unnumbered' then return adopt(h.identifier) end
    levels[h.level] = levels[h.level] + 1
    for below = h.level + 1, 6 do levels[below] = 0 end
    adopt(h.identifier, table.concat(levels, '.', 1, h.level))
  end,
  Image = function(image)
    fail(('a picture in the text (%s): show it with display.figure instead'):format(image.src))
  end,
}

-- Second pass: a reference becomes a link ("Figure 3"); a citation is left to citeproc, but its key must exist.

local resolve = {
  traverse = 'topdown',
  Div = function(div) where = div.attributes.where or where end,
  Cite = function(cite)
    local out, own = pandoc.Inlines {}, 0
    for _, one in ipairs(cite.citations) do
      local word = words[one.id:match '^(%l+)%-']
      if word then
        own = own + 1
        if own > 1 then out:extend { Str ',', Space() } end
        out:extend(one.prefix)
        if #one.prefix > 0 then out:insert(Space()) end
        if numbers[one.id] then
          local shown = (one.mode == 'SuppressAuthor' and '' or word .. '\u{a0}') .. numbers[one.id]
          out:insert(pandoc.Link(Str(shown), '#' .. one.id, '', { class = 'ref' }))
        elseif alone then -- a notebook by itself may refer to what another one shows
          out:insert(pandoc.Code(one.id))
        else
          fail(("a reference to '%s', which is not there"):format(one.id), one.id, numbers)
        end
        out:extend(one.suffix)
      elseif not keys[one.id] then
        fail(("refs.bib has no entry '%s'"):format(one.id), one.id, keys)
      end
    end
    cites = cites or own < #cite.citations
    if own == 0 then return nil end
    if own < #cite.citations then
      fail('a citation and a reference in one bracket: ' .. stringify(cite.content))
    end
    if cite.citations[1].mode ~= 'AuthorInText' then
      out:insert(1, Str '(')
      out:insert(Str ')')
    end
    return out
  end,
}

-- Third pass: figures, tables and boxes as the page or the print has them.

local function escaped(text) return (text:gsub('&', '&amp;'):gsub('<', '&lt;'):gsub('"', '&quot;')) end

-- The line under a figure or table of the page: what it comes from, its numbers, its picture, its address.
local function origin(id, results, csv, file)
  local name = words[id:sub(1, 3)] .. '\u{a0}' .. numbers[id]
  local function link(class, target, shown, more, save)
    return ('<a class="%s"%s href="%s">%s<span class="hidden"> %s %s</span></a>'):format(
      class, save and (' download="%s"'):format(save) or '', target, shown, more, name)
  end
  local from = ('From %s%s.'):format(results ~= '' and results .. '; ' or '', places[id]):gsub("'", '’')
  local links = pandoc.List { '<span>' .. escaped(from) .. '</span>' }
  if csv ~= '' then links:insert(link('data', csv, 'Data (CSV)', 'of', csv)) end
  if file then links:insert(link('image', '#' .. id, 'Picture (' .. file:match '%w+$':upper() .. ')', 'of')) end
  links:insert(link('copy', '#' .. id, 'Copy link', 'to'))
  return pandoc.RawBlock('html', '<p class="from">' .. table.concat(links, ' ') .. '</p>')
end

-- A box that scrolls where the screen is narrow: reached by the keyboard, and known by name.
local function scrolled(blocks, id, classes)
  local name = { 'aria-label', words[id:sub(1, 3)] .. ' ' .. numbers[id] }
  -- Lua tables have no order of their own; lists of pairs give the same bytes each time.
  return pandoc.Div(blocks, pandoc.Attr('', classes, { { 'role', 'group' }, { 'tabindex', '0' }, name }))
end

local function picture(div)
  local a = div.attributes
  local said = caption(div.content, div.identifier)
  local plain = div.content:walk { Cite = function() return {} end }
  local alt = a.alt ~= '' and a.alt or stringify(pandoc.utils.blocks_to_inlines(plain, { Space() })):gsub('%s+', ' ')
  if not html then
    local shown = typst(('#image("%s", width: %scm, alt: %s)'):format(a.file, a.cm, quoted(alt)))
    return boxed('#[#set figure(placement: figures-go)', { pandoc.Figure({ Plain { shown } }, said, { id = div.identifier }) }, ']')
  end
  local image = ('<img src="%s" width="%s" alt="%s">'):format(a.file, a.px, escaped(alt))
  return { pandoc.Figure({ pandoc.RawBlock('html', image) }, said, { id = div.identifier }), origin(div.identifier, a.results or '', a.csv or '', a.file) }
end

-- Rows of cells (inlines), head first, and per column its alignment and the lengths of its longest cell and word, and of
-- its longest cell under the head.
local function grid(t)
  local rows, columns = pandoc.List {}, pandoc.List {}
  for _, row in ipairs(t.head.rows .. t.bodies[1].body) do rows:insert(row.cells) end
  for i, spec in ipairs(t.colspecs) do
    local column = { side = sides[spec[1]] or 'left', longest = 1, word = 1, body = 1 }
    column.limit = column.side == 'right' and NUMBER_CELL or SHORT_CELL
    for place, cells in ipairs(rows) do
      local text = stringify(cells[i].contents)
      column.longest = math.max(column.longest, utf8.len(text))
      if place > #t.head.rows then column.body = math.max(column.body, utf8.len(text)) end
      for word in text:gmatch '[^ ]+' do column.word = math.max(column.word, math.min(utf8.len(word), BREAK)) end
    end
    columns[i] = column
  end
  return rows, columns
end

-- What is never broken within a cell: a range, the path of a picture, each word of a command.
local unbroken = {
  Str = function(str)
    if str.text:match '%d[^%w%s]*–' or str.text:match '^[%w._-]+/[%w._-]+%.%w+$' then
      return pandoc.Span({ str }, { class = 'whole' })
    end
  end,
  Code = function(code)
    if not code.text:match ' ' then return nil end
    local spans = code.text:gsub('[^ ]+', function(word) return '<span class="whole">' .. escaped(word) .. '</span>' end)
    return pandoc.RawInline('html', '<code>' .. spans .. '</code>')
  end,
}

local function page_table(t)
  local rows, columns = grid(t)
  local tied, width = true, 0
  for i, column in ipairs(columns) do
    t.colspecs[i] = { pandoc.AlignDefault, nil }
    if column.side == 'right' and column.body > column.limit then tied = false end -- a long head may break
    width = width + 2 + (column.side == 'right' and column.body or math.min(column.longest, SENTENCE))
    for _, cells in ipairs(rows) do
      cells[i].contents = cells[i].contents:walk(unbroken)
      if column.side ~= 'left' then cells[i].classes:insert(column.side) end
      if column.longest > LONG_CELL then cells[i].classes:insert 'long' end
    end
  end
  t.caption = caption(t.caption.long, t.identifier)
  local classes = pandoc.List { 'table-wrap' }
  if tied and width <= PAGE then classes:insert 'tied' end
  if #rows > HIGH then classes:insert 'high' end
  local box = scrolled({ t }, t.identifier, classes)
  local csv = t.attributes.csv or ''
  t.attributes = {}
  return { box, origin(t.identifier, '', csv) }
end

-- A table that fits is as wide as its text. Otherwise columns of short cells stay whole, and the others share what is
-- left by the root of their longest cell: a text four times as long gets twice the width.
local function print_table(t)
  local rows, columns = grid(t)
  local function size(whole)
    local sum = 0
    for _, c in ipairs(columns) do sum = sum + ((whole or c.longest <= c.limit) and c.longest or c.word) end
    -- Half an em is the mean width of a digit or small letter in Libertinus; 8 points of padding per column.
    return math.min(TYPE_SIZE, math.floor((TEXT_POINTS - 8 * #columns) / (0.5 * sum) * 2) / 2)
  end
  local fits = size(true) >= TYPE_SIZE
  local widths, aligns = '', ''
  for _, c in ipairs(columns) do
    c.whole = fits or c.longest <= c.limit
    widths = widths .. (c.whole and 'auto, ' or ('%.2ffr, '):format(math.max(c.longest, 36) ^ 0.5))
    aligns = aligns .. c.side .. ', '
  end
  local out = pandoc.Inlines { typst(('#report-table(size: %.1fpt, columns: (%s), align: (%s)'):format(
    fits and TYPE_SIZE or math.max(6, size(false)), widths, aligns)) }
  for r, cells in ipairs(rows) do
    for i, cell in ipairs(cells) do
      local box = r > 1 and columns[i].whole
      out:insert(typst(box and ', [#box[' or ', ['))
      out:extend(pandoc.utils.blocks_to_inlines(cell.contents))
      out:insert(typst(box and ']]' or ']'))
    end
  end
  out:insert(typst ')')
  local set = pandoc.Figure({ Plain(out) }, caption(t.caption.long, t.identifier), { id = t.identifier })
  local lines = 0
  for _, cells in ipairs(rows) do
    local most = 1
    for _, cell in ipairs(cells) do most = math.max(most, math.ceil(utf8.len(stringify(cell.contents)) / LINE)) end
    lines = lines + most
  end
  return lines > LONG_TABLE and set or boxed('#whole[', { set }, ']')
end

local dress = {
  Math = function(math) -- said as it is written in TeX, as a formula has no other words
    if html then return nil end
    return { typst('#{set math.equation(alt: ' .. quoted(math.text) .. '); '), math, typst '}' }
  end,
  Table = html and page_table or print_table,
  CodeBlock = function(block) -- what may scroll sideways is reached by keyboard, too
    if html then block.attributes.tabindex = '0' return block end
  end,
  Div = function(div)
    local kind = div.classes[1]
    if kind == 'cell' then return div.content end
    if kind == 'figure' then return picture(div) end
    if kind == 'abstract' or kind == 'abstrak' or kind == 'summary' then front[kind] = div.content return {} end
    if kind == 'note' then
      local title = div.attributes.title:gsub("(%w)'(%w)", '%1’%2')
      if not html then return boxed('#note(' .. quoted(title) .. ')[', div.content, ']') end
      local line = pandoc.Div({ Plain(pandoc.Inlines(title)) }, { class = 'note-title' })
      return pandoc.Div({ line } .. div.content, pandoc.Attr('', { 'note' }, { { 'role', 'note' } }))
    end
    if kind == 'code' and not html then return {} end
    if kind == 'code' then
      local code = escaped(div.content[1].text)
      return pandoc.RawBlock('html', '<details class="code"><summary>Code</summary><pre tabindex="0">'
        .. '<code class="language-python">' .. code .. '</code></pre></details>')
    end
    if html then return nil end
    if kind == 'source' then return boxed('#source[', div.content, ']') end
    if div.identifier == 'refs' then return boxed('#references[', { div }, ']') end
  end,
}

-- Last, for the print: what Typst would take for a sign (a list, a dash, an ellipsis, a quote) is text, and may be broken
-- where it is long.
local literal = {
  Str = function(str)
    local text, run = str.text, 0
    if utf8.len(text) > BREAK then
      text = text:gsub(utf8.charpattern, function(letter)
        run = (run >= BREAK - 4 or letter:match '[/_.-]') and 0 or run + 1
        return run == 0 and letter .. '\u{200b}' or nil
      end)
    end
    if text:match '^[-+/=]' or text:match '^%d+[.)]' or text:match '%-[-?]' or text:match '%.%.' or text:match '["\']' then
      return typst('#' .. quoted(text) .. ';')
    end
    return Str(text)
  end,
}

function Pandoc(doc)
  alone = doc.meta.alone ~= nil
  prefix = stringify(doc.meta['caption-prefix'] or ''):gsub('[. ]+$', '')
  for key in io.open(stringify(doc.meta.bibliography)):read 'a':gmatch '@%w+{([^,%s]+),' do keys[key] = true end
  doc.blocks = doc.blocks:walk(percents)
  doc.blocks:walk(number)
  doc.blocks = doc.blocks:walk(resolve)
  if cites and not references then
    local heading = pandoc.Header(1, 'References', { id = 'references', class = 'unnumbered' })
    doc.blocks:extend { heading, pandoc.Div({}, { id = 'refs' }) }
  end
  doc.blocks = doc.blocks:walk(dress)
  if html then -- the page's title is its heading of the first level
    doc.blocks = doc.blocks:walk { Header = function(h) h.level = h.level + 1 return h end }
  end
  if not html then
    doc.blocks = doc.blocks:walk(literal)
    for kind, blocks in pairs(front) do front[kind] = blocks:walk(literal) end
  end
  for kind, blocks in pairs(front) do doc.meta[kind] = pandoc.MetaBlocks(blocks) end
  return doc
end
