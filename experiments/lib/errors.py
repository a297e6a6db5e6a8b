"""Errors that are the user's to mend: what is wrong, and what to do."""

import sys


class UserError(Exception):
    """`what` is wrong; `todo` says what to do about it."""

    def __init__(self, what, todo=""):
        super().__init__(what)
        self.what = what
        self.todo = todo

    def __str__(self):
        return f"{self.what}\n  {self.todo}" if self.todo else self.what


def run_main(main):
    """Runs `main`, prints a UserError as two lines and ends the program with its status."""
    try:
        sys.exit(main())
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read the output is gone.
        sys.stderr.close()
        sys.exit(141)
