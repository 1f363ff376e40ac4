package main

import (
	"os"
	"strings"
)

// plainLocale turns a locale such as C.UTF-8 into C: the toolkit takes the
// first for the language "C" and complains about it on the terminal.
func plainLocale() {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if value := os.Getenv(name); strings.HasPrefix(value, "C.") || strings.HasPrefix(value, "POSIX.") {
			os.Setenv(name, "C")
		}
	}
}
