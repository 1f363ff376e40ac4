// Package tokens makes single-use tokens that whoever issued them cannot
// recognise: a verifiable oblivious pseudo-random function (VOPRF, RFC 9497,
// ristretto255-SHA512) in the manner of Privacy Pass.
//
// The client picks random nonces and sends them blinded ([NewBatch]). The
// server evaluates the batch with the key of the day and proves with one DLEQ
// proof that it used that key ([Key.Evaluate]). The client verifies the proof
// against the key that it expects and removes the blinding ([Batch.Finish]):
// a token is the nonce, the id of the key, and the function's output. Whoever
// has the key can check a token ([Key.Check]), and cannot tell which of all
// batches of that day it came from, nor to whom it was issued.
//
// # What the caller owes
//
// The server: to refuse a token that was spent before, and to use each day's
// key for everybody. The client: to get the public key in a way that does not
// tell who asks, and to refuse a second key of the same day. A server that had
// a key for each account would recognise its tokens; the proof alone does not
// prevent that, one public key for all does.
package tokens
