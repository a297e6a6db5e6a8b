"""An interactive bash in a pseudo terminal, with keys and jobs: the transcript, and how it ended."""

import os
import pty
import re
import sys
import termios

PROMPT = b"ready> "


class Session:
    def __init__(self, *command):
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.execve(command[0], command, {"PATH": "/usr/bin:/bin", "PS1": PROMPT.decode(), "TERM": "dumb"})
        self.seen = b""

    def wait_for(self, text):
        while text not in self.seen:
            self.seen += os.read(self.master, 1024)
        end = self.seen.index(text) + len(text)
        said, self.seen = self.seen[:end], self.seen[end:]
        # When bash tells of a stop depends on how fast everything is; numbers differ.
        text = re.sub(r"\n\[1\]\+  Stopped [^\n]*", "", said.decode().replace("\r\n", "\n"))
        text = re.sub(r"(/dev/pts/|\[1\] )\d+", r"\1N", text)
        sys.stdout.write(re.sub(r"\n+", "\n", text))

    def type(self, text):
        os.write(self.master, text)

    def run(self, line):
        self.type(line + b"\n")
        self.wait_for(PROMPT)

    def start(self, line):
        """Returns once what it starts is the foreground and waits for input."""
        self.type(line + b"\n")
        while os.tcgetpgrp(self.master) == self.pid:
            os.sched_yield()
        self.wait_for(line + b"\r\n")
        self.type(b"are you there?\n")
        self.wait_for(b"are you there?\r\nare you there?\r\n")

    def end(self):
        try:
            while said := os.read(self.master, 1024):
                self.seen += said
        except OSError as error:
            print(self.seen.decode().replace("\r\n", "\n") + "then", error.strerror)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def main():
    sys.stdout.reconfigure(line_buffering=True)
    shell = Session("/bin/bash", "--norc", "--noprofile", "--noediting", "-i")
    shell.wait_for(PROMPT)
    shell.run(b"tty; test -t 0 && echo terminal; echo $((6 * 7))")
    shell.run(b"gone\x15echo kill\x7f\x7fpt")
    shell.start(b"cat")
    shell.type(b"\x03")
    shell.wait_for(PROMPT)
    shell.run(b"echo $?")
    shell.start(b"cat")
    shell.type(b"\x1a")
    shell.wait_for(PROMPT)
    shell.run(b"jobs -s | wc -l")
    shell.run(b"bg; until grep -q 'T (stopped)' /proc/$!/status; do :; done; jobs -s | wc -l")
    shell.start(b"fg")
    shell.type(b"\x04")
    shell.wait_for(PROMPT)
    shell.run(b"jobs; trap 'echo interrupted' INT; kill -INT $$")
    shell.run(b"cat < /dev/tty & until grep -q 'T (stopped)' /proc/$!/status; do :; done; jobs -s | wc -l")
    shell.run(b"kill %1; fg; echo $?")
    shell.type(b"exit 5\n")
    print("ended with", shell.end())
    line = Session("/bin/sh", "-c", "read -r word; echo \"heard $word\"; exit 3")
    settings = termios.tcgetattr(line.master)
    print("echo", bool(settings[3] & termios.ECHO), "lines", bool(settings[3] & termios.ICANON))
    line.type(b"it\n")
    print("ended with", line.end())


main()
