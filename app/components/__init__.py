"""Components of the page: HTML, CSS and JavaScript, and what connects them to Python."""
