"""From a recipe to a picture: recipes, sampling, mixing, search, projection, directions, layers."""
