"""How far a long run is, and how long the rest takes."""
import time


class Progress:
    def __init__(self, total, report=print, every=10.0):
        self.total, self.report, self.every = total, report, every
        self.done, self.start = 0, time.monotonic()
        self.reported = self.start

    def step(self, amount, what):
        """Reports at most every few seconds, and at the end."""
        self.done += amount
        now = time.monotonic()
        if now - self.reported < self.every and self.done < self.total:
            return
        self.reported = now
        left = (now - self.start) * (self.total - self.done) / self.done
        self.report(f"{what}: {100 * self.done / self.total:.0f} %, {left / 60:.1f} min left", flush=True)
