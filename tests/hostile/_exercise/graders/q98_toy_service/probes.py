from archprep.worker.serve import serve, serve_each


def serves(listeners, **given):
    from service import make_app

    serve(make_app(**given), listeners[0])


def serves_each(listeners, names):
    from service import make_app

    serve_each(lambda number: make_app(name=names[number]), listeners)
