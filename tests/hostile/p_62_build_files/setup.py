open(__file__ + ".ran", "w").close()
