"""The files that take longest begin first, so that no worker waits for another at the end."""

LONGEST = (
    *("test_end_to_end.py", "test_run.py", "test_scratch.py", "test_access.py", "test_classifier.py", "test_truth.py"),
    *("test_backbones.py", "test_app_page.py", "test_make.py", "test_predict.py", "test_recipes.py"),
)


def pytest_collection_modifyitems(items):
    files = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: files.get(item.path.name, len(LONGEST)))
