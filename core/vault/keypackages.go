package vault

import (
	"fmt"
	"time"
)

// PutKeyPackage stores the private half of a KeyPackage under its reference
// until it is deleted or expires. ErrDuplicate: the reference is taken.
func (tx *Tx) PutKeyPackage(ref, bundle []byte, expires time.Time, lastResort bool) error {
	res, err := tx.exec(`INSERT INTO key_packages (ref, bundle, expires_at, last_resort) VALUES (?, ?, ?, ?)
		ON CONFLICT (ref) DO NOTHING`, blob(ref), blob(bundle), toMillis(expires), lastResort)
	if err == nil && res.changed == 0 {
		return fmt.Errorf("%w: key package %x", ErrDuplicate, ref)
	}
	return err
}

// KeyPackage returns the bundle stored under the reference, or ErrNotFound.
func (tx *Tx) KeyPackage(ref []byte) ([]byte, error) {
	return queryOne(tx, scanBytes, `SELECT bundle FROM key_packages WHERE ref = ?`, blob(ref))
}

// DeleteKeyPackage deletes the bundle stored under the reference. An unknown
// one is no error.
func (tx *Tx) DeleteKeyPackage(ref []byte) error {
	_, err := tx.exec(`DELETE FROM key_packages WHERE ref = ?`, blob(ref))
	return err
}

// ExpireKeyPackages deletes the bundles that expire at now or earlier, those of
// last resort included, and returns how many.
func (tx *Tx) ExpireKeyPackages(now time.Time) (int, error) {
	res, err := tx.exec(`DELETE FROM key_packages WHERE expires_at <= ?`, toMillis(now))
	return int(res.changed), err
}

// KeyPackageCount returns how many bundles of the kind are stored.
func (tx *Tx) KeyPackageCount(lastResort bool) (int, error) {
	n, err := queryOne(tx, scanInt, `SELECT count(*) FROM key_packages WHERE last_resort = ?`, lastResort)
	return int(n), err
}
