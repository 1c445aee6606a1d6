"""What a part of the suite found: checks that passed or not, and figures."""
import json
import sys
import traceback


class Report:
    def __init__(self):
        self.checks, self.figures = [], {}

    def check(self, name, passed, detail=""):
        self.checks.append({"name": name, "passed": bool(passed), "detail": str(detail)})
        return bool(passed)

    def figure(self, name, value):
        self.figures[name] = round(value, 4) if isinstance(value, float) else value

    def section(self, function, *arguments):
        """Runs a function; an exception is a failed check."""
        try:
            function(self, *arguments)
        except Exception as error:  # noqa: BLE001
            traceback.print_exc()
            self.check(function.__name__, False, f"{type(error).__name__}: {error}")
        self.write()

    def write(self):
        with open(sys.argv[1], "w", encoding="utf-8") as file:
            json.dump({"checks": self.checks, "figures": self.figures}, file)

    def finish(self):
        self.write()
        sys.exit(0 if all(check["passed"] for check in self.checks) else 1)


def relative_l1(got, wanted):
    """Σ|got - wanted| / Σ|wanted| in double precision; 0 for nothing."""
    got, wanted = got.double(), wanted.double()
    difference = (got - wanted).abs().sum().item()
    return difference / max(wanted.abs().sum().item(), 1e-12) if difference else 0.0
