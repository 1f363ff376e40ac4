package backup

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
)

var (
	// ErrLocked: the backup is encrypted, and nothing was given to open it.
	ErrLocked = errors.New("the backup is encrypted: give its passphrase (--passphrase-file) or the key file that it was encrypted to (--identity)")
	// ErrNotLocked: the backup is not encrypted, but something was given to open
	// it.
	ErrNotLocked = errors.New("the backup is not encrypted, so it is not the one that was made for this passphrase or key; if you trust it, read it without them")
	// ErrWrongKey: what was given does not open the backup.
	ErrWrongKey = errors.New("the backup does not open with this passphrase or key")
)

// intro begins every file of age's.
const intro = "age-encryption.org/v1\n"

// Lock encrypts backups in the format of age, so that age itself opens them,
// too. The zero Lock does not encrypt.
type Lock struct{ recipients []age.Recipient }

// LockWith encrypts under a passphrase.
func LockWith(passphrase string) (Lock, error) {
	r, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return Lock{}, err
	}
	return Lock{[]age.Recipient{r}}, nil
}

// LockTo encrypts to public keys of age's ("age1..."), for whoever has the key
// of one of them.
func LockTo(keys []string) (l Lock, err error) {
	for _, key := range keys {
		r, err := age.ParseX25519Recipient(key)
		if err != nil {
			return l, fmt.Errorf("%q is not a public key of age's (age-keygen makes one): %w", key, err)
		}
		l.recipients = append(l.recipients, r)
	}
	return l, nil
}

// Write lets write fill w through the lock.
func (l Lock) Write(w io.Writer, write func(io.Writer) error) error {
	if len(l.recipients) == 0 {
		return write(w)
	}
	locked, err := age.Encrypt(w, l.recipients...)
	if err != nil {
		return err
	}
	if err := write(locked); err != nil {
		return err
	}
	return locked.Close()
}

// Keys open a Lock.
type Keys struct{ identities []age.Identity }

// KeysWith open what LockWith made.
func KeysWith(passphrase string) (Keys, error) {
	i, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return Keys{}, err
	}
	return Keys{[]age.Identity{i}}, nil
}

// KeysIn open what was encrypted to the public keys of a key file of age's.
func KeysIn(file io.Reader) (Keys, error) {
	identities, err := age.ParseIdentities(io.LimitReader(file, maxSmall))
	if err != nil {
		return Keys{}, fmt.Errorf("this is not a key file of age's: %w", err)
	}
	return Keys{identities}, nil
}

// Open gives the backup behind a lock; without Keys, r itself where there is
// none. Whoever gives a passphrase wants the backup of somebody who knows it, and
// gets no other. ErrLocked, ErrNotLocked, ErrWrongKey. What was changed shows as an error while it is read.
func (k Keys) Open(r io.Reader) (io.Reader, error) {
	buffered := bufio.NewReaderSize(r, 1<<16)
	if head, _ := buffered.Peek(len(intro)); !bytes.Equal(head, []byte(intro)) {
		if len(k.identities) > 0 {
			return nil, ErrNotLocked
		}
		return buffered, nil
	}
	if len(k.identities) == 0 {
		return nil, ErrLocked
	}
	opened, err := age.Decrypt(buffered, k.identities...)
	if err != nil {
		if _, ok := errors.AsType[*age.NoIdentityMatchError](err); ok {
			return nil, ErrWrongKey
		}
		return nil, fmt.Errorf("%w (%w)", ErrDamaged, err)
	}
	return opened, nil
}
