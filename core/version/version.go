// Package version holds the version that the build stamped into the program.
package version

// Version is what `git describe` said of the source, or "dev" where nobody
// stamped it. The Makefile sets it through the linker.
var Version = "dev"
