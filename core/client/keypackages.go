package client

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"quicprochat/core/identity"
	"quicprochat/core/mls"
	"quicprochat/core/vault"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
)

const (
	// fewKeyPackages is when single-use KeyPackages are made, until there are
	// enoughKeyPackages.
	fewKeyPackages    = 20
	enoughKeyPackages = 40

	keyPackageLife = 84 * 24 * time.Hour
	lastResortLife = 365 * 24 * time.Hour
	// welcomeGrace is how long a KeyPackage's private half outlives it: a
	// Welcome may have waited so long.
	welcomeGrace = 32 * 24 * time.Hour
)

// suite is the MLS suite of all groups.
const suite = mls.SuiteXWing

// capabilities is what every member must understand beyond MLS itself.
func capabilities() mls.Capabilities {
	return mls.Capabilities{Extensions: []uint16{extGroupState, extLeafState}}
}

// leafExtensions is what a leaf of this device says, with a queue address of its own.
func (c *Client) leafExtensions(queueAddress []byte) ([]mls.Extension, error) {
	state, err := marshalLeafState(c.self.certificate, queueAddress)
	if err != nil {
		return nil, err
	}
	return []mls.Extension{{Type: extLeafState, Data: state}}, nil
}

func (c *Client) mlsCredential() mls.Credential {
	return mls.BasicCredential(c.self.credential().Marshal())
}

// offerKeys makes sure that others can reach this device: the server has its
// hybrid key, enough single-use KeyPackages, and one of last resort.
func (c *Client) offerKeys(ctx context.Context) error {
	c.keys.Lock()
	defer c.keys.Unlock()
	var count qpcv1.CountKeyPackagesResponse
	if err := c.account.call(ctx, &qpcv1.CountKeyPackagesRequest{}, &count); err != nil {
		return err
	}
	upload := &qpcv1.UploadHybridKeyRequest{HybridKey: identity.SignHybridKey(c.self.signer, c.self.hybrid.Public())}
	if err := c.account.call(ctx, upload, new(qpcv1.UploadHybridKeyResponse)); err != nil {
		return err
	}
	single := 0
	if count.Count < fewKeyPackages {
		single = enoughKeyPackages - int(count.Count)
	}
	lastResort := !count.HasLastResort || c.lastResortEnds(ctx)
	if single == 0 && !lastResort {
		return nil
	}
	return c.makeKeyPackages(ctx, single, lastResort)
}

// lastResortEnds tells whether the KeyPackage of last resort is to be replaced.
func (c *Client) lastResortEnds(ctx context.Context) bool {
	ends := true
	err := c.vault.View(ctx, func(tx *vault.Tx) error {
		raw, err := tx.Setting(settingLastResort)
		if err == nil && len(raw) == 8 {
			expires := time.Unix(int64(binary.BigEndian.Uint64(raw)), 0)
			ends = c.now().Add(lastResortLife / 4).After(expires)
		}
		return nil
	})
	return err == nil && ends
}

// makeKeyPackages makes and uploads KeyPackages; the private halves are in the
// vault before the server has the public ones.
func (c *Client) makeKeyPackages(ctx context.Context, single int, lastResort bool) error {
	n := single
	if lastResort {
		n++
	}
	addresses, err := c.newAddresses(ctx, n)
	if err != nil {
		return err
	}
	now := c.now()
	var bundles []*mls.KeyPackageBundle
	defer func() {
		for _, b := range bundles {
			b.Destroy()
		}
	}()
	req := new(qpcv1.UploadKeyPackagesRequest)
	for i, address := range addresses {
		last := i == single
		bundle, err := c.newKeyPackage(address, now, last)
		if err != nil {
			return err
		}
		bundles = append(bundles, bundle)
		if last {
			req.LastResort = bundle.KeyPackage()
		} else {
			req.KeyPackages = append(req.KeyPackages, bundle.KeyPackage())
		}
	}
	err = c.vault.Update(ctx, func(tx *vault.Tx) error { return storeKeyPackages(tx, bundles, now) })
	if err != nil {
		return err
	}
	err = c.account.call(ctx, req, new(qpcv1.UploadKeyPackagesResponse))
	if _, refused := errors.AsType[*wire.Error](err); refused {
		// Nobody will ever answer them; otherwise the server may have them.
		return errors.Join(err, c.vault.Update(ctx, func(tx *vault.Tx) error { return dropKeyPackages(tx, bundles) }))
	}
	if err != nil || !lastResort {
		return err
	}
	at := binary.BigEndian.AppendUint64(nil, uint64(now.Add(lastResortLife).Unix()))
	return c.vault.Update(ctx, func(tx *vault.Tx) error { return tx.PutSetting(settingLastResort, at) })
}

func dropKeyPackages(tx *vault.Tx, bundles []*mls.KeyPackageBundle) error {
	for _, b := range bundles {
		if err := tx.DeleteKeyPackage(b.Ref()); err != nil {
			return err
		}
	}
	return nil
}

func lifeOf(lastResort bool) time.Duration {
	if lastResort {
		return lastResortLife
	}
	return keyPackageLife
}

func (c *Client) newKeyPackage(address []byte, now time.Time, lastResort bool) (*mls.KeyPackageBundle, error) {
	extensions, err := c.leafExtensions(address)
	if err != nil {
		return nil, err
	}
	return mls.NewKeyPackage(mls.KeyPackageOptions{
		Suite: suite, Credential: c.mlsCredential(), Signer: c.self.signer, LeafExtensions: extensions,
		NotBefore: now.Add(-clockSkew), NotAfter: now.Add(lifeOf(lastResort)), LastResort: lastResort,
		ExtraCapabilities: capabilities(),
	})
}

func storeKeyPackages(tx *vault.Tx, bundles []*mls.KeyPackageBundle, now time.Time) error {
	if _, err := tx.ExpireKeyPackages(now); err != nil {
		return err
	}
	for _, b := range bundles {
		raw, err := b.MarshalBinary()
		if err != nil {
			return err
		}
		last := b.Public().LastResort()
		expires := now.Add(lifeOf(last))
		err = tx.PutKeyPackage(b.Ref(), raw, expires.Add(welcomeGrace), last)
		clear(raw)
		if err != nil {
			return err
		}
	}
	return nil
}

// newAddresses asks for fresh addresses of the own queue.
func (c *Client) newAddresses(ctx context.Context, n int) ([][]byte, error) {
	var m qpcv1.NewAddressResponse
	if err := c.account.call(ctx, &qpcv1.NewAddressRequest{Count: uint32(n)}, &m); err != nil {
		return nil, err
	}
	if len(m.Addresses) != n {
		return nil, fmt.Errorf("%w: %d addresses, not %d", ErrServerIncompatible, len(m.Addresses), n)
	}
	return m.Addresses, nil
}

// newcomer is a device that is about to be added.
type newcomer struct {
	account      AccountID
	device       DeviceID
	keyPackage   []byte
	ref          []byte
	queueAddress []byte
	hybridKey    []byte
}

var errKeyPackage = errors.New("client: unusable key package")

// fetchDevices claims a KeyPackage of each device of an account, but for those
// named. What the server gives out is believed nothing: a device counts where
// everything is signed by the account key that is known. Others are left out.
func (c *Client) fetchDevices(ctx context.Context, who identity.Credential, except ...DeviceID) ([]newcomer, error) {
	req := &qpcv1.FetchKeyPackageRequest{AccountId: who.AccountID.Bytes()}
	for _, d := range except {
		req.ExceptDeviceIds = append(req.ExceptDeviceIds, d.Bytes())
	}
	var m qpcv1.FetchKeyPackageResponse
	if err := c.anonymous.call(ctx, req, &m); err != nil {
		return nil, err
	}
	var list []newcomer
	seen := make(map[DeviceID]bool)
	for _, keys := range m.Devices {
		n, err := c.checkDevice(who, keys)
		if err != nil || seen[n.device] {
			c.log.Warn("device left out", "error", err)
			continue
		}
		seen[n.device] = true
		list = append(list, n)
	}
	return list, nil
}

func (c *Client) checkDevice(who identity.Credential, keys *qpcv1.DeviceKeys) (newcomer, error) {
	kp, err := mls.ParseKeyPackage(keys.KeyPackage)
	if err != nil {
		return newcomer{}, err
	}
	if kp.Suite() != suite {
		return newcomer{}, fmt.Errorf("%w: suite %v", errKeyPackage, kp.Suite())
	}
	now := c.now()
	if err := kp.Verify(now); err != nil {
		return newcomer{}, err
	}
	leaf, err := readLeaf(kp.LeafNode())
	if err != nil {
		return newcomer{}, err
	}
	cert := leaf.certificate
	if cert.AccountID != who.AccountID || !cert.AccountKey.Equal(who.AccountKey) {
		return newcomer{}, fmt.Errorf("%w: of another account", errKeyPackage)
	}
	if err := cert.CheckTime(now); err != nil {
		return newcomer{}, err
	}
	hybrid, err := identity.VerifyHybridKey(cert.DeviceKey, keys.HybridKey)
	if err != nil {
		return newcomer{}, err
	}
	return newcomer{
		account: cert.AccountID, device: cert.DeviceID(), keyPackage: keys.KeyPackage,
		ref: kp.Ref(), queueAddress: leaf.queueAddress, hybridKey: hybrid,
	}, nil
}
