"""The page's name and what it is in one sentence, for search engines, link previews and home screens."""

NAME = "Ganime"
TITLE = "Ganime: anime faces"
DESCRIPTION = (
    "Roll anime faces, change their hair, eyes and expression, turn one face into another, and train a model on faces "
    "of your own."
)
