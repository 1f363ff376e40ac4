package client

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"

	"quicprochat/core/identity"
	"quicprochat/core/seal"
	"quicprochat/core/vault"
)

// Keys of the vault's settings.
const (
	settingProfile     = "profile"
	settingDeviceKey   = "device key"
	settingHybridKey   = "hybrid key"
	settingVaultKey    = "account vault key"
	settingCursor      = "queue cursor"
	settingLastResort  = "last resort expires"
	settingDevicesDone = "devices in step"
	settingBanned      = "banned"
	settingRoute       = "route"
)

// profile is who this device is. It is written once, when the account or the
// device is made.
type profile struct {
	name        string
	server      string
	link        Link // without a token
	certificate *identity.Certificate
	signer      ed25519.PrivateKey
	hybrid      *seal.PrivateKey
	vaultKey    *identity.VaultKey // of what the account's devices share
}

func (p *profile) account() AccountID { return p.certificate.AccountID }

func (p *profile) credential() identity.Credential {
	return identity.Credential{AccountID: p.certificate.AccountID, AccountKey: p.certificate.AccountKey}
}

// storedProfile is the public part of a profile in the vault.
type storedProfile struct {
	Name        string `json:"name"`
	Server      string `json:"server"`
	Link        string `json:"link"`
	Certificate []byte `json:"certificate"`
}

func (p *profile) save(tx *vault.Tx) error {
	public, err := json.Marshal(storedProfile{p.name, p.server, p.link.String(), p.certificate.Raw})
	if err != nil {
		return err
	}
	seed, hybrid, vaultKey := p.signer.Seed(), p.hybrid.Bytes(), p.vaultKey.Bytes()
	defer clear(seed)
	defer clear(hybrid)
	defer clear(vaultKey)
	return errors.Join(
		tx.PutSetting(settingProfile, public),
		tx.PutSetting(settingDeviceKey, seed),
		tx.PutSetting(settingHybridKey, hybrid),
		tx.PutSetting(settingVaultKey, vaultKey),
	)
}

func loadProfile(tx *vault.Tx) (*profile, error) {
	public, err := tx.Setting(settingProfile)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProfileCorrupt, err)
	}
	var stored storedProfile
	if err := json.Unmarshal(public, &stored); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProfileCorrupt, err)
	}
	p := &profile{name: stored.Name, server: stored.Server}
	if p.link, err = ParseLink(stored.Link); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProfileCorrupt, err)
	}
	if p.certificate, err = identity.ParseCertificate(stored.Certificate); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProfileCorrupt, err)
	}
	seed, err := tx.Setting(settingDeviceKey)
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("%w: device key: %w", ErrProfileCorrupt, err)
	}
	defer clear(seed)
	p.signer = ed25519.NewKeyFromSeed(seed)
	hybrid, err := tx.Setting(settingHybridKey)
	if err != nil {
		return nil, fmt.Errorf("%w: hybrid key: %w", ErrProfileCorrupt, err)
	}
	defer clear(hybrid)
	if p.hybrid, err = seal.ParsePrivateKey(hybrid); err != nil {
		return nil, fmt.Errorf("%w: hybrid key: %w", ErrProfileCorrupt, err)
	}
	vaultKey, err := tx.Setting(settingVaultKey)
	if err != nil {
		return nil, fmt.Errorf("%w: vault key: %w", ErrProfileCorrupt, err)
	}
	defer clear(vaultKey)
	if p.vaultKey, err = identity.ParseVaultKey(vaultKey); err != nil {
		return nil, fmt.Errorf("%w: vault key: %w", ErrProfileCorrupt, err)
	}
	return p, nil
}

// wipe forgets the keys.
func (p *profile) wipe() {
	clear(p.signer)
	p.vaultKey.Destroy()
}

// openVault translates the vault's errors.
func openVault(dir, password string, o vault.Options) (*vault.Vault, error) {
	v, err := vault.Open(dir, password, o)
	for _, e := range []struct{ from, to error }{
		{vault.ErrNoVault, ErrNoProfile},
		{vault.ErrWrongPassword, ErrVaultPassword},
		{vault.ErrInUse, ErrProfileInUse},
		{vault.ErrCorrupt, ErrProfileCorrupt},
	} {
		if errors.Is(err, e.from) {
			return nil, fmt.Errorf("%w: %w", e.to, err)
		}
	}
	return v, err
}
