class cuda:
    @staticmethod
    def is_available():
        return False
