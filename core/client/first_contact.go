package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/identity"
	"quicprochat/core/mls"
	"quicprochat/core/seal"
	"quicprochat/core/vault"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// errContact says that a first contact says nothing that this version knows.
var errContact = errors.New("client: unknown kind of first contact")

// receiveContact takes in what a device has sealed to this one. What is not
// acceptable is dropped.
func (c *Client) receiveContact(ctx context.Context, item *qpcv1.QueueItem, sealed []byte) error {
	sender, body, err := c.openContact(sealed)
	if err != nil {
		return c.dropWelcome(ctx, item, err)
	}
	switch b := body.Body.(type) {
	case *qpcv1.ContactBody_Invitation:
		return c.receiveWelcome(ctx, item, sender, b.Invitation)
	case *qpcv1.ContactBody_RejoinRequest:
		c.receiveRejoinRequest(sender, b.RejoinRequest)
	case *qpcv1.ContactBody_RejoinAnswer:
		c.receiveRejoinAnswer(sender, b.RejoinAnswer)
	}
	return c.skip(ctx, item)
}

// openContact opens and verifies a first contact: it comes from a device of the
// account whose key is the one that is known.
func (c *Client) openContact(sealed []byte) (*identity.Certificate, *qpcv1.ContactBody, error) {
	first, err := c.self.hybrid.OpenFirstContact(sealed, c.now())
	if err != nil {
		return nil, nil, err
	}
	sender := first.Sender
	if err := c.people.check(identity.Credential{AccountID: sender.AccountID, AccountKey: sender.AccountKey}); err != nil {
		return nil, nil, err
	}
	body, err := parseContact(first.Body)
	return sender, body, err
}

// parseContact decodes what a device says, which may be anything.
func parseContact(raw []byte) (*qpcv1.ContactBody, error) {
	var body qpcv1.ContactBody
	if err := proto.Unmarshal(raw, &body); err != nil {
		return nil, fmt.Errorf("%w: %w", errContact, err)
	}
	switch body.Body.(type) {
	case *qpcv1.ContactBody_Invitation, *qpcv1.ContactBody_RejoinRequest, *qpcv1.ContactBody_RejoinAnswer:
		return &body, nil
	}
	return nil, errContact
}

// sealContact seals what this device has to say to the hybrid key of another.
func (c *Client) sealContact(hybridKey []byte, body *qpcv1.ContactBody, expires time.Time) ([]byte, error) {
	raw, err := proto.Marshal(body)
	if err != nil {
		return nil, err
	}
	sealed, err := seal.SealFirstContact(hybridKey, c.self.signer, c.self.certificate.Raw, raw, expires)
	if err != nil {
		return nil, fmt.Errorf("client: seal first contact: %w", err)
	}
	return sealed, nil
}

// tell seals something to a member's device and delivers it to its queue, for one
// token. Errors of the server, ErrContactQuota, ErrOffline.
func (c *Client) tell(ctx context.Context, leaf *mls.LeafNode, body *qpcv1.ContactBody, expires time.Time) error {
	to, err := readLeaf(leaf)
	if err != nil {
		return err
	}
	hybrid, err := c.hybridKeyOf(ctx, to.certificate)
	if err != nil {
		return err
	}
	sealed, err := c.sealContact(hybrid, body, expires)
	if err != nil {
		return err
	}
	id := random16()
	return c.deliverSealed(ctx, &qpcv1.DeliverSealedRequest{Address: to.queueAddress, ItemId: id[:], Sealed: sealed})
}

// hybridKeyOf asks for the key to which a device wants things sealed. The server
// gives none for a device that its account has removed.
func (c *Client) hybridKeyOf(ctx context.Context, cert *identity.Certificate) ([]byte, error) {
	var m qpcv1.FetchHybridKeyResponse
	device := cert.DeviceID()
	req := &qpcv1.FetchHybridKeyRequest{AccountId: cert.AccountID.Bytes(), DeviceId: device.Bytes()}
	if err := c.anonymous.call(ctx, req, &m); err != nil {
		return nil, err
	}
	now, err := identity.ParseCertificate(m.DeviceCertificate)
	if err != nil {
		return nil, err
	}
	if now.AccountID != cert.AccountID || !now.AccountKey.Equal(cert.AccountKey) || !bytes.Equal(now.DeviceKey, cert.DeviceKey) {
		return nil, &keyChangedError{cert.AccountID}
	}
	if err := now.CheckTime(c.now()); err != nil {
		return nil, err
	}
	return identity.VerifyHybridKey(cert.DeviceKey, m.HybridKey)
}

// deliverSealed spends tokens until the server takes one.
func (c *Client) deliverSealed(ctx context.Context, req *qpcv1.DeliverSealedRequest) error {
	for range maxServerFailures {
		if err := c.ensureTokens(ctx, 1); err != nil {
			return err
		}
		var taken [][]byte
		err := c.vault.Update(ctx, func(tx *vault.Tx) (err error) {
			taken, err = takeTokens(tx, 1, c.now())
			return err
		})
		if errors.Is(err, errNoTokens) {
			continue // somebody else took it
		} else if err != nil {
			return err
		}
		req.Token = taken[0]
		err = c.anonymous.call(ctx, req, new(qpcv1.DeliverSealedResponse))
		if !tokenRefused(err) {
			return err
		}
		if err := c.vault.Update(ctx, discardTokens); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: it takes no token", ErrServer)
}
