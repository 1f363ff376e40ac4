// Package e2e holds the end-to-end tests and benchmarks: real QUIC on
// loopback, the real server on SQLite, real clients with real vaults in
// temporary folders. Nothing in it is faked, and nothing imports it.
package e2e
