"""A source on its way in: the one place where it is opened, what it says about itself, and its decoded frames."""
