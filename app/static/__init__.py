"""The static edition: the page as a folder of plain files, which draws in the visitor's browser."""
