package vault

import (
	"errors"
	"fmt"

	sqlite3 "github.com/mutecomm/go-sqlcipher/v4"
)

// Errors of opening a vault.
var (
	// ErrExists is returned by Create for a directory that holds a vault.
	ErrExists = errors.New("vault: there is one in this directory already")
	// ErrNoVault is returned by Open for a directory without a vault.
	ErrNoVault = errors.New("vault: none in this directory")
	// ErrWrongPassword means that the password does not open the key file.
	ErrWrongPassword = errors.New("vault: wrong password")
	// ErrInUse means that this or another process has the vault open.
	ErrInUse = errors.New("vault: in use by another process")
	// ErrTooNew means that a newer version of this program has written the
	// vault. Nothing was changed.
	ErrTooNew = errors.New("vault: made by a newer version of this program")
	// ErrUnencrypted means that the linked SQLite cannot encrypt. Nothing was
	// written.
	ErrUnencrypted = errors.New("vault: the SQLite library has no encryption")
)

// Errors of using a vault.
var (
	// ErrCorrupt means that a file of the vault is damaged, missing, or was
	// tampered with. Retrying is of no use.
	ErrCorrupt = errors.New("vault: damaged")
	// ErrFull means that the disk is full. The transaction is rolled back and
	// can be retried.
	ErrFull = errors.New("vault: no space left on the disk")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("vault: closed")
	// ErrTxDone is returned by a Tx that is used after its function returned.
	ErrTxDone = errors.New("vault: transaction is over")
	// ErrReadOnly is returned by a write inside View.
	ErrReadOnly = errors.New("vault: write in a read transaction")
	// ErrNotFound is returned by a lookup without a result, and by an update
	// of a row that is not there. The transaction stays usable.
	ErrNotFound = errors.New("vault: not found")
	// ErrDuplicate is returned by an insert of what is there already. Nothing
	// was changed and the transaction stays usable.
	ErrDuplicate = errors.New("vault: is there already")
	// ErrKeyChanged is returned by PutContact for a known account with
	// another account key. Nothing was changed.
	ErrKeyChanged = errors.New("vault: the contact's account key differs from the known one")
	// ErrInvalid is returned for a value that cannot be stored. Nothing was
	// changed and the transaction stays usable.
	ErrInvalid = errors.New("vault: invalid value")
)

// storageError translates what the driver reports into this package's errors.
func storageError(what string, err error) error {
	if err == nil {
		return nil
	}
	se, ok := errors.AsType[sqlite3.Error](err)
	if !ok {
		return fmt.Errorf("vault: %s: %w", what, err)
	}
	switch se.Code {
	case sqlite3.ErrCorrupt, sqlite3.ErrNotADB, sqlite3.ErrFormat,
		// SQLCipher's answer to a page with a wrong HMAC. SQLite's own use of the
		// code, for wrong SQL, is out of the question: the statements are fixed.
		sqlite3.ErrError:
		return fmt.Errorf("%w: %s: %w", ErrCorrupt, what, err)
	case sqlite3.ErrFull:
		return fmt.Errorf("%w: %s: %w", ErrFull, what, err)
	}
	return fmt.Errorf("vault: %s: %w", what, err)
}
