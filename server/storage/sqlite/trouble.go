package sqlite

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"quicprochat/server/storage"
)

// troubles are those of SQLite's primary result codes that concern the whole
// database.
var troubles = map[int]error{
	lib.SQLITE_FULL:     storage.ErrFull,
	lib.SQLITE_READONLY: storage.ErrReadOnly,
	lib.SQLITE_IOERR:    storage.ErrDisk,
	lib.SQLITE_CANTOPEN: storage.ErrDisk,
	lib.SQLITE_CORRUPT:  storage.ErrDamaged,
	lib.SQLITE_NOTADB:   storage.ErrDamaged,
	lib.SQLITE_BUSY:     storage.ErrBusy,
	lib.SQLITE_LOCKED:   storage.ErrBusy,
	lib.SQLITE_NOMEM:    storage.ErrBusy,
}

// withTrouble adds to an error which trouble of the database it is.
func withTrouble(err error) error {
	failed, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return err
	}
	if trouble := troubles[failed.Code()&0xff]; trouble != nil && !errors.Is(err, trouble) {
		return fmt.Errorf("%w: %w", trouble, err)
	}
	return err
}
