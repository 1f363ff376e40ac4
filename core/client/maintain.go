package client

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"quicprochat/core/identity"
	"quicprochat/core/mls"
	"quicprochat/core/vault"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// maintenanceInterval is how often everything is looked after while online; what
// comes to notice wakes it up before.
const maintenanceInterval = time.Minute

// maintain keeps this device reachable and its account's devices in step,
// whenever the client has come online and from time to time.
func (c *Client) maintain() {
	timer := time.NewTimer(maintenanceInterval)
	defer timer.Stop()
	for {
		select {
		case <-c.start:
		case <-timer.C:
		case <-c.ctx.Done():
			return
		}
		if c.account.online() {
			c.maintainOnce()
		}
		timer.Reset(maintenanceInterval)
	}
}

func (c *Client) maintainOnce() {
	ctx, cancel := context.WithTimeout(c.ctx, backgroundTimeout)
	defer cancel()
	for _, job := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"offer keys", c.becomeReachable},
		{"look for lost commits", c.findLost},
		{"share settings", c.shareWhenDue},
		{"remember rendezvous servers", c.learnRendezvous},
		{"ask for names", c.askNames},
		{"bring devices in step", c.SyncDevices},
		{"commit leaves", c.commitLeaves},
		{"come back", c.heal},
		{"fetch tokens", c.topUp},
	} {
		if err := job.do(ctx); err != nil && c.ctx.Err() == nil {
			c.log.Warn(job.what, "error", err)
		}
	}
}

// becomeReachable offers keys, and says that others can reach this device.
func (c *Client) becomeReachable(ctx context.Context) error {
	if err := c.offerKeys(ctx); err != nil {
		return err
	}
	c.status.setMaintained()
	return nil
}

// askNames asks for the names of contacts that have none yet.
func (c *Client) askNames(ctx context.Context) error {
	nameless := c.people.nameless()
	if len(nameless) == 0 {
		return nil
	}
	contacts, wrong := c.introduce(ctx, nameless)
	contacts = slices.DeleteFunc(contacts, func(p vault.Contact) bool { return p.Name == "" })
	if err := c.remember(ctx, contacts); err != nil {
		return err
	}
	for _, contact := range contacts {
		if err := c.retitle(ctx, contact); err != nil {
			return err
		}
	}
	if len(contacts) > 0 {
		c.events.publish(Resync{})
	}
	return wrong
}

// retitle gives the direct chat with a person the name that is now known.
func (c *Client) retitle(ctx context.Context, contact vault.Contact) error {
	for _, v := range c.all() {
		v.mu.Lock()
		var err error
		if v.row.Kind == vault.ConversationDirect && v.row.PeerID == contact.AccountID {
			err = v.write(ctx, func(t *transaction) error {
				t.row.Title = contact.Name
				return nil
			})
		}
		v.mu.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

// commitLeaves goes on with what a restart or a lost connection has interrupted.
func (c *Client) commitLeaves(context.Context) error {
	for _, v := range c.all() {
		v.mu.Lock()
		if v.usable() == nil && len(v.notes.Leavers) > 0 && v.committing() == nil {
			v.commitLeaversSoon()
		}
		v.mu.Unlock()
	}
	return nil
}

// SyncDevices brings the account's devices in step: whichever this device finds
// missing from its conversations it adds, and those that the account has
// revoked it removes. The client does so by itself, from time to time; a caller
// who knows of a new device need not wait for it.
func (c *Client) SyncDevices(ctx context.Context) error {
	var m qpcv1.ListDevicesResponse
	if err := c.account.call(ctx, &qpcv1.ListDevicesRequest{}, &m); err != nil {
		return c.closedOr(err)
	}
	devices, err := c.ownDevices(m.Devices)
	if err != nil {
		return err
	}
	fingerprint := fingerprintOf(devices)
	inStep := c.inStep(ctx, fingerprint)
	var errs []error
	for _, v := range c.all() {
		if inStep && !v.isNewHere() {
			continue
		}
		err := v.syncDevices(ctx, devices)
		if err != nil && !errors.Is(err, ErrNotMember) && !errors.Is(err, ErrBroken) {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return c.closedOr(err)
	}
	if inStep {
		return nil
	}
	return c.vault.Update(ctx, func(tx *vault.Tx) error { return tx.PutSetting(settingDevicesDone, fingerprint) })
}

// ownDevices believes the server only what the account key has signed.
func (c *Client) ownDevices(list []*qpcv1.Device) (map[DeviceID]bool, error) {
	devices := map[DeviceID]bool{c.self.certificate.DeviceID(): true}
	for _, d := range list {
		cert, err := identity.ParseCertificate(d.DeviceCertificate)
		if err != nil {
			return nil, err
		}
		if cert.AccountID != c.self.account() || !cert.AccountKey.Equal(c.self.certificate.AccountKey) {
			return nil, &keyChangedError{c.self.account()}
		}
		devices[cert.DeviceID()] = true
	}
	return devices, nil
}

func fingerprintOf(devices map[DeviceID]bool) []byte {
	var ids []string
	for id := range devices {
		ids = append(ids, string(id[:]))
	}
	slices.Sort(ids)
	h := sha256.New()
	for _, id := range ids {
		h.Write([]byte(id))
	}
	return h.Sum(nil)
}

// inStep tells whether all conversations have been looked through for this set
// of devices.
func (c *Client) inStep(ctx context.Context, fingerprint []byte) bool {
	done := false
	err := c.vault.View(ctx, func(tx *vault.Tx) error {
		stored, err := tx.Setting(settingDevicesDone)
		done = err == nil && string(stored) == string(fingerprint)
		return nil
	})
	return err == nil && done
}

// syncDevices makes the own leaves of a group those of the devices.
func (v *conversation) syncDevices(ctx context.Context, devices map[DeviceID]bool) error {
	present, err := v.ownLeaves(ctx)
	if err != nil {
		return err
	}
	missing, revoked := 0, 0
	var except []DeviceID
	for id := range devices {
		if _, ok := present[id]; !ok {
			missing++
		}
	}
	for id := range present {
		except = append(except, id)
		if !devices[id] {
			revoked++
		}
	}
	if missing+revoked == 0 {
		return v.settleIn(ctx)
	}
	var newcomers []newcomer
	if missing > 0 {
		newcomers, err = v.c.fetchDevices(ctx, v.c.self.credential(), except...)
		if err != nil {
			return err
		}
	}
	err = v.commit(ctx, func(v *conversation) (*plan, error) { return v.planDevices(devices, newcomers) })
	if err != nil {
		return err
	}
	return v.settleIn(ctx)
}

func (v *conversation) isNewHere() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.notes.NewHere
}

// settleIn notes that all own devices take part.
func (v *conversation) settleIn(ctx context.Context) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.notes.NewHere || v.usable() != nil {
		return nil
	}
	return v.write(ctx, func(t *transaction) error {
		t.notes.NewHere = false
		return nil
	})
}

func (v *conversation) ownLeaves(ctx context.Context) (map[DeviceID]mls.LeafIndex, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.usable(); err != nil {
		return nil, err
	}
	if err := v.open(ctx); err != nil {
		return nil, err
	}
	return v.deviceLeaves(), nil
}

func (v *conversation) deviceLeaves() map[DeviceID]mls.LeafIndex {
	leaves := make(map[DeviceID]mls.LeafIndex)
	for _, m := range v.leavesOf(v.c.self.account()) {
		leaves[identity.DeviceIDOf(m.SignatureKey)] = m.Index
	}
	return leaves
}

func (v *conversation) planDevices(devices map[DeviceID]bool, newcomers []newcomer) (*plan, error) {
	p := new(plan)
	present := v.deviceLeaves()
	for id, leaf := range present {
		if !devices[id] {
			p.proposals = append(p.proposals, mls.RemoveProposal(leaf))
		}
	}
	for _, n := range newcomers {
		if _, ok := present[n.device]; !ok && devices[n.device] {
			p.proposals = append(p.proposals, mls.AddProposal(n.keyPackage))
			p.newcomers = append(p.newcomers, n)
		}
	}
	if len(p.proposals) == 0 {
		return nil, nil
	}
	return p, nil
}
