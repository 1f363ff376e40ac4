package client

import (
	"context"
	"crypto/ed25519"
	"errors"
	"slices"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/vault"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// Labels of what is signed with a channel key (see channel.proto).
const (
	labelPost   = "qpc channel post v1"
	labelCommit = "qpc channel commit v1"
	labelDelete = "qpc channel delete v1"
)

// signed returns body's bytes and the signature over them.
func signed(key ed25519.PrivateKey, label string, body proto.Message) (raw, signature []byte, err error) {
	raw, err = proto.Marshal(body)
	if err != nil {
		return nil, nil, err
	}
	return raw, ed25519.Sign(key, slices.Concat([]byte(label), []byte{0}, raw)), nil
}

// Send puts a text into the vault, sealed for the group, and returns; delivery
// goes on by itself, also after a restart.
//
// Errors: ErrTextInvalid, ErrUnknownConversation, ErrNotMember, ErrBroken,
// ErrDeviceRevoked.
func (c *Client) Send(ctx context.Context, id ConversationID, body string) (Message, error) {
	if err := checkText(body); err != nil {
		return Message{}, err
	}
	v, err := c.find(id)
	if err != nil {
		return Message{}, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.sendable(); err != nil {
		return Message{}, err
	}
	now := c.now()
	m := vault.Message{
		Conversation: id, MessageID: random16(), Sender: c.self.account(), Kind: vault.MessageText,
		Body: body, SentAt: now, ReceivedAt: now, State: vault.MessageQueued,
	}
	out := newOutgoing(vault.OutboxItem{
		Conversation: id, ItemID: random16(), Kind: outboxPost, MessageID: m.MessageID, CreatedAt: now,
	}, false)
	if err := v.queue(ctx, out, &m); err != nil {
		return Message{}, c.closedOr(err)
	}
	return c.message(m, false), nil
}

// queue writes a message and its sealed post into the vault, and gets it on its way.
func (v *conversation) queue(ctx context.Context, out *outgoing, m *vault.Message) error {
	// Before the others are in the group nobody could read it: the outbox seals
	// it when they are.
	sealNow := !v.notes.Creating
	if sealNow {
		if err := v.open(ctx); err != nil {
			return err
		}
	}
	err := v.write(ctx, func(t *transaction) (err error) {
		if sealNow {
			if out.Payload, err = v.sealText(out.ItemID, *m); err != nil {
				return err
			}
		}
		if err := t.InsertMessage(m); err != nil {
			return err
		}
		t.added = append(t.added, *m)
		return t.enqueue(out)
	})
	if err != nil {
		return err
	}
	out.message = m
	v.deliver()
	return nil
}

// sealText seals a message for the present epoch, as a serialised PostRequest.
func (v *conversation) sealText(item [16]byte, m vault.Message) ([]byte, error) {
	content, err := text{id: m.MessageID, sentAt: m.SentAt, body: m.Body}.marshal(v.c.self.signer, v.c.self.account())
	if err != nil {
		return nil, err
	}
	sealed, err := v.group.Seal(content, nil)
	if err != nil {
		return nil, err
	}
	return v.post(item, sealed)
}

// post makes a serialised PostRequest for the present epoch.
func (v *conversation) post(item [16]byte, mlsMessage []byte) ([]byte, error) {
	key, err := v.signingKey()
	if err != nil {
		return nil, err
	}
	body, signature, err := signed(key, labelPost, &qpcv1.PostBody{
		ChannelId: v.id[:], Epoch: v.group.Epoch(), ItemId: item[:], MlsMessage: mlsMessage,
	})
	if err != nil {
		return nil, err
	}
	return proto.Marshal(&qpcv1.PostRequest{Body: body, Signature: signature})
}

// Retry queues a failed message again. Errors: ErrUnknownMessage, ErrNotMember,
// ErrBroken, ErrDeviceRevoked; a message that has not failed is left alone.
func (c *Client) Retry(ctx context.Context, id ConversationID, message MessageID) error {
	v, err := c.find(id)
	if err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.sendable(); err != nil {
		return err
	}
	out := newOutgoing(vault.OutboxItem{
		Conversation: id, ItemID: random16(), Kind: outboxPost, MessageID: message, CreatedAt: c.now(),
	}, false)
	queued := false
	err = v.write(ctx, func(t *transaction) error {
		m, err := t.MessageByID(id, message)
		if errors.Is(err, vault.ErrNotFound) {
			return ErrUnknownMessage
		}
		if err != nil || m.State != vault.MessageFailed {
			return err
		}
		m.State, m.Error = vault.MessageQueued, ""
		if err := t.UpdateMessage(&m); err != nil {
			return err
		}
		t.changed = append(t.changed, m)
		queued = true
		return t.enqueue(out)
	})
	if err == nil && queued {
		v.deliver()
	}
	return c.closedOr(err)
}
