package vault

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// unwrap opens the database key with either key file. Where the password opens
// none, the error is the first one's.
func (v *Vault) unwrap(password string) (*databaseKey, error) {
	sealed, err := readKeyFile(v.path(keyName))
	if err != nil {
		return nil, err
	}
	key, err := sealed.open(password)
	if !errors.Is(err, ErrWrongPassword) {
		return key, err
	}
	next, nextErr := readKeyFile(v.path(stagedKeyName))
	if nextErr != nil {
		return nil, err
	}
	key, nextErr = next.open(password)
	if nextErr != nil {
		return nil, err
	}
	return key, nil
}

// ChangePassword seals the database key under a new password. When it returns
// nil only the new password opens the vault; after an error or a crash either
// the old or the new one does, never none. ErrWrongPassword: old is wrong.
func (v *Vault) ChangePassword(old, new string) error {
	v.keyFile.Lock()
	defer v.keyFile.Unlock()
	sealed, err := v.rewrap(old, new)
	if err != nil {
		return err
	}
	if err := writeKeyFile(v.path(keyName), v.path(newKeyName), sealed); err != nil {
		return err
	}
	return v.dropStaged()
}

// StagePassword lets another password open the vault beside the present one,
// until one of AdoptStaged and DropStaged is called, also after a restart. It
// takes the place of one that was staged before. It asks for no password: the
// caller has made sure that this person may choose one.
func (v *Vault) StagePassword(password string) error {
	v.keyFile.Lock()
	defer v.keyFile.Unlock()
	if v.closed() {
		return ErrClosed
	}
	sealed, err := sealKey(v.key, password, v.kdf)
	if err != nil {
		return err
	}
	return writeKeyFile(v.path(stagedKeyName), v.path(newKeyName), sealed)
}

// Staged tells whether a password is staged.
func (v *Vault) Staged() bool {
	_, err := os.Lstat(v.path(stagedKeyName))
	return err == nil
}

// IsStaged tells whether this is the staged password.
func (v *Vault) IsStaged(password string) (bool, error) {
	next, err := readKeyFile(v.path(stagedKeyName))
	if errors.Is(err, ErrNoVault) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	key, err := next.open(password)
	if errors.Is(err, ErrWrongPassword) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	key.wipe()
	return true, nil
}

// AdoptStaged makes the staged password the only one, in one step. Where none
// is staged it changes nothing.
func (v *Vault) AdoptStaged() error {
	v.keyFile.Lock()
	defer v.keyFile.Unlock()
	if v.closed() {
		return ErrClosed
	}
	if _, err := os.Lstat(v.path(stagedKeyName)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return publishKeyFile(v.path(keyName), v.path(stagedKeyName))
}

// DropStaged forgets the staged password. Where none is staged it changes
// nothing.
func (v *Vault) DropStaged() error {
	v.keyFile.Lock()
	defer v.keyFile.Unlock()
	if v.closed() {
		return ErrClosed
	}
	return v.dropStaged()
}

func (v *Vault) dropStaged() error {
	err := os.Remove(v.path(stagedKeyName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("vault: remove a staged key file: %w", err)
	}
	return syncDir(v.path(stagedKeyName))
}

// rewrap seals the database key under a new password for who knows the old
// one. The caller holds v.keyFile.
func (v *Vault) rewrap(old, new string) (*keyFile, error) {
	if v.closed() {
		return nil, ErrClosed
	}
	key, err := v.unwrap(old)
	if err != nil {
		return nil, err
	}
	defer key.wipe()
	if subtle.ConstantTimeCompare(key.bytes[:], v.key.bytes[:]) != 1 {
		return nil, fmt.Errorf("%w: the key file is of another vault", ErrCorrupt)
	}
	return sealKey(v.key, new, v.kdf)
}

func (v *Vault) closed() bool {
	select {
	case <-v.closing:
		return true
	default:
		return false
	}
}
