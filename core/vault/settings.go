package vault

// Setting returns the value stored under the key, or ErrNotFound.
func (tx *Tx) Setting(key string) ([]byte, error) {
	return queryOne(tx, scanBytes, `SELECT value FROM settings WHERE key = ?`, key)
}

// PutSetting stores the value under the key, replacing an older one.
func (tx *Tx) PutSetting(key string, value []byte) error {
	_, err := tx.exec(`INSERT INTO settings (key, value) VALUES (?, ?)
		ON CONFLICT (key) DO UPDATE SET value = excluded.value`, key, blob(value))
	return err
}

// DeleteSetting removes the key. An unknown one is no error.
func (tx *Tx) DeleteSetting(key string) error {
	_, err := tx.exec(`DELETE FROM settings WHERE key = ?`, key)
	return err
}
