// Package wire carries the calls of package qpc.v1 between a client and a
// server: frames, the method table, and RPC over QUIC with pushes.
//
// # A connection
//
// A connection is QUIC with TLS 1.3 and the ALPN "qpc". Keys are exchanged with
// X25519MLKEM768, or X25519 where the other side has nothing better. There are
// no session tickets, no address tokens and no 0-RTT: nothing can be replayed,
// and nothing but the network itself links two connections of one client. A
// [Link] says where a server is and, by its pin, who it is: the SHA-256 of its
// public key, which takes the place of names, issuers and dates. Without a pin
// the certificate must be publicly trusted.
//
// Both ends of a connection derive the same 32 bytes from it, the Exporter. A
// device signs them to prove itself for this connection and no other; the
// server then calls [Peer.Authenticate].
//
// # A call
//
// A call is one bidirectional stream with one [Request] and one [Response], and
// costs one round trip. Methods are what the .proto files say: ids, access,
// limits come from their options by reflection, and there is no other table.
// On the server, [Handle] binds a function to the method of its request type.
// Before a payload is read, its header decides: is there such a method, may
// this kind of connection call it (Access), is it too large, does
// [ServeOptions.Intercept] object. So a handler of an ACCOUNT method can rely
// on a principal with an account, and one of an ANONYMOUS method on there being
// none. Fields of the request are the handler's own to validate.
//
// # Pushes
//
// The server pushes events over one unidirectional stream per connection, so
// they arrive in order and without holes for as long as the connection lives.
// What was pushed may still be lost with the connection: whoever pushes
// something that matters keeps it until the client has acknowledged it.
// Neither side waits for the other without bound; see [Peer.Push] and
// [DialOptions.OnPush].
//
// # Bad input
//
// No decoder allocates more than twice what has arrived, beyond 4 KiB, and
// none takes more than its limit. A malformed frame gets a typed error where
// there is somebody to answer, its stream is closed and the connection lives
// on; after more than 16 of them it is dropped. Unknown protobuf fields are
// skipped, for the sake of newer peers. Frames that take too long to arrive are
// malformed, and give back the memory of what has arrived. [Connections] and
// [ServeOptions] bound what all connections together and those of one network
// can hold, so that whoever floods a server does not keep others from it. A
// stream keeps its place among a connection's streams until its handler has
// returned, so resetting streams wins nothing.
//
// # What callers owe
//
// A client gives every call a deadline, dials again when Done is closed, and
// repeats a call whose effect is unknown only where the method is idempotent.
// A server's handlers return when their context ends, and put neither
// identities nor content into errors, which are logged. The package itself logs
// method names and errors, never an address or a payload.
package wire
