def make_app(vault=None, name=""):
    raise NotImplementedError
