package client

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"quicprochat/core/identity"
	"quicprochat/core/seal"
	"quicprochat/core/vault"
)

const (
	// clockSkew is how far behind another device's clock may be.
	clockSkew = 48 * time.Hour
	// certificateYears is how long a device certificate holds. It can only be
	// renewed with the password, and a member with an expired one keeps others
	// from joining, so it is long.
	certificateYears = 9
)

// makeDevice makes the keys of this device and certifies them.
func (e *entry) makeDevice(id AccountID, key *identity.AccountKey) error {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	hybrid, err := seal.GenerateKey()
	if err != nil {
		return err
	}
	now := e.opts.Now()
	certificate, err := key.IssueCertificate(id, public, cleanDeviceName(e.opts.DeviceName),
		now.Add(-clockSkew), now.AddDate(certificateYears, 0, 0))
	if err != nil {
		return err
	}
	link := e.link
	link.Token = nil
	e.device = &profile{
		name: e.name, link: link, certificate: certificate, signer: private, hybrid: hybrid, vaultKey: key.VaultKey(),
	}
	return nil
}

// cleanDeviceName is what a certificate can hold of a name.
func cleanDeviceName(name string) string {
	name = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(name, ""))
	for len(name) > identity.MaxDeviceName {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	return strings.TrimSpace(name)
}

// createProfile writes the device into a new vault, lets the server admit it,
// and only then gives the vault its final name. Where that fails nothing is
// left.
func (o Options) createProfile(ctx context.Context, device *profile, password string, admit func() error) error {
	_, statErr := os.Stat(o.Dir)
	undo := func(err error) error {
		err = errors.Join(err, os.RemoveAll(o.newVaultDir()))
		if os.IsNotExist(statErr) {
			_ = os.Remove(o.Dir) // only if nothing else is in it
		}
		return err
	}
	// What a crash left behind.
	if err := os.RemoveAll(o.newVaultDir()); err != nil {
		return fmt.Errorf("client: make the profile: %w", err)
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return fmt.Errorf("client: make the profile: %w", err)
	}
	v, err := vault.Create(o.newVaultDir(), password, o.vaultOptions())
	if err != nil {
		return undo(err)
	}
	err = v.Update(ctx, func(tx *vault.Tx) error {
		return errors.Join(device.save(tx), tx.PutContact(device.contact(o.Now())))
	})
	if err = errors.Join(err, v.Close()); err != nil {
		return undo(err)
	}
	if err := admit(); err != nil {
		return undo(err)
	}
	if err := os.Rename(o.newVaultDir(), o.vaultDir()); err != nil {
		return fmt.Errorf("client: make the profile: %w", err)
	}
	return nil
}

// contact is the own account, whose key must not change either.
func (p *profile) contact(now time.Time) vault.Contact {
	return vault.Contact{AccountID: p.account(), AccountKey: p.certificate.AccountKey, Name: p.name, FirstSeen: now}
}

func vaultExists(dir string) bool { return vault.Exists(dir) }

func deleteVault(dir string) error { return vault.Delete(dir) }
