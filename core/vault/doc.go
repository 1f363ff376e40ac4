// Package vault is the encrypted local database of a client: account and
// device keys, contacts, conversations, messages, MLS state and what waits to
// be sent, in one SQLCipher file.
//
// # Files
//
// A vault is a directory (mode 0700) with
//
//	vault.key   the database key, sealed under the password (see keyfile.go)
//	vault.db    the SQLCipher database, with vault.db-wal and vault.db-shm
//	vault.key.next  the same, under a password that is on its way in
//	vault.lock  held with an advisory lock while a process has the vault open
//
// The database key is 256 random bits. It is wrapped with ChaCha20-Poly1305
// under Argon2id of the password, so that changing the password rewrites
// vault.key and nothing else. Where the password is somebody else's too, such as
// a server's, StagePassword lets either open the vault until it is known which
// of them the other side has. Whoever has an old copy of vault.key and the old
// password still gets the key.
//
// # Promises
//
// Everything that one call of [Vault.Update] writes is on disk, fsynced, when
// it returns nil, and none of it otherwise: the journal is a WAL with
// synchronous=FULL. A client therefore puts the MLS records, the message, the
// outbox item and the queue cursor that belong together into one Update, and
// lets bytes leave the device or acknowledges a queue item only afterwards.
//
// What the server would deliver again need not wait for the disk one by one:
// [Vault.UpdateUnsynced] commits as a whole but does not sync, and one
// [Vault.Sync] stands for many before they are acknowledged. Commits reach the
// disk in their order, so that nothing that is there builds on something lost.
//
// Conversation previews, unread counts and activity are kept by this package
// in the same transaction.
//
// Deleted and replaced content is overwritten in the database file
// (secure_delete). Older pages live on in the WAL, encrypted, until it is
// recycled; Close empties it.
//
// Every page carries an HMAC, so a changed page is an error, ErrCorrupt, and
// never content. What it cannot notice is that its files, or pages in them,
// were put back to what they were at an earlier time.
//
// # Memory
//
// The key is kept in memory while the vault is open and wiped by Close.
// SQLCipher's wiping and locking of all of SQLite's allocations
// (cipher_memory_security) is off: it costs a factor of three when writing
// much, and protects little in a process whose Go heap holds the same messages
// in the clear. SQLCipher wipes its own copies of the key regardless; the
// driver leaves a transient copy on the heap when it opens a connection.
//
// # What the caller owes
//
// The function given to Update or View uses its Tx on one goroutine, does not
// keep it, and calls none of Update, View and Close of the same vault: it could
// wait for itself. It may be slow only in View, as writers wait for one another.
package vault
