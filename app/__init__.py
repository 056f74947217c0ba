"""The web page: tabs, settings and the studio behind them. All machine learning is in the package `ganime`."""
