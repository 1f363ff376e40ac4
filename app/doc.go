// Package app is the root of the programs. It holds no code, only the tests
// of the architecture: who may import whom, and that each package says what
// it is for.
package app
