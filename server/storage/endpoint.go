package storage

import "time"

// EndpointPin names a server: the SHA-256 of its public key.
type EndpointPin [32]byte

// Endpoint is the word that a server has left about where it can be reached.
type Endpoint struct {
	Pin EndpointPin
	// Record is opaque to the store.
	Record []byte
	// Issued orders the records of a server, in milliseconds since 1970.
	Issued uint64
	// Expires is when it ends, to the second.
	Expires time.Time
	// Network stands for the network from which it came: a keyed hash, from
	// which that cannot be found without the key.
	Network [16]byte
}
