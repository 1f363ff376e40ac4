package client

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/identity"
	"quicprochat/core/mls"
	"quicprochat/core/vault"
	qpcv1 "quicprochat/proto/qpc/v1"
)

const labelGet = "qpc channel get v1"

var errWayBack = errors.New("client: what a member answered is no way back")

// returnID is under which a group's records wait until the server has taken the
// commit by which this device comes back to it.
func returnID(id ConversationID) [16]byte {
	h := sha256.Sum256(slices.Concat([]byte("qpc return\x00"), id[:]))
	return [16]byte(h[:16])
}

// receiveRejoinAnswer goes the way back that a member has shown.
func (c *Client) receiveRejoinAnswer(sender *identity.Certificate, answer *qpcv1.RejoinAnswer) {
	v := c.addressee(answer.ChannelId)
	if v == nil {
		return
	}
	v.mu.Lock()
	wanted := v.asking(sender.DeviceID(), answer.RequestId)
	v.mu.Unlock()
	if !wanted || len(answer.ChannelSeed) != ed25519.SeedSize || len(answer.RejoinKey) != rejoinKeySize {
		return
	}
	c.spawn(func() {
		ctx, cancel := context.WithTimeout(c.ctx, backgroundTimeout)
		defer cancel()
		if err := v.comeBack(ctx, sender, answer); err != nil && c.ctx.Err() == nil {
			c.log.Warn("way back", "error", err)
			if err := v.giveUpOn(ctx, [16]byte(answer.RequestId)); err != nil {
				c.log.Error("way back", "error", err)
			}
			wake(c.start)
		}
	})
}

// comeBack makes the commit that replaces this device's leaf, and gets it on its way.
func (v *conversation) comeBack(ctx context.Context, sender *identity.Certificate, answer *qpcv1.RejoinAnswer) error {
	key := ed25519.NewKeyFromSeed(answer.ChannelSeed)
	defer clear(key)
	if err := v.confirmEpoch(ctx, key, answer.Epoch); err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.asking(sender.DeviceID(), answer.RequestId) {
		return nil // meanwhile there was another way
	}
	if err := v.open(ctx); err != nil {
		return err
	}
	defer v.close()
	joined, commit, err := v.rejoin(answer)
	if err != nil {
		return err
	}
	next := &conversation{c: v.c, id: v.id}
	if err := next.enter(joined); err != nil {
		return err
	}
	defer next.close()
	if err := v.judgeReturn(ctx, next, sender, answer.Epoch); err != nil {
		return err
	}
	contacts, err := v.c.introduce(ctx, next.credentials())
	if err != nil {
		return err
	}
	item, err := v.returnItem(next, key, answer, commit)
	if err != nil {
		return err
	}
	err = v.write(ctx, func(t *transaction) error {
		t.contacts = contacts
		waiting := returnID(v.id)
		return errors.Join(t.DeleteMLS(waiting), t.PutMLS(waiting, records(joined.TakeChanges())), t.enqueue(newOutgoing(item, false)))
	})
	if err == nil {
		v.deliver()
	}
	return err
}

// confirmEpoch asks the server whether the epoch of an answer is the channel's: its
// key shows at the same time that the answer's is the right one.
func (v *conversation) confirmEpoch(ctx context.Context, key ed25519.PrivateKey, epoch uint64) error {
	current, err := v.channelEpoch(ctx, key, epoch)
	if err != nil {
		return err
	}
	if current != epoch {
		return fmt.Errorf("%w: of an epoch that is over", errWayBack)
	}
	return nil
}

// rejoin makes the group and the external commit. The device stays what and where
// it was: v's group is the old one.
func (v *conversation) rejoin(answer *qpcv1.RejoinAnswer) (*mls.Group, []byte, error) {
	own := v.group.OwnIndex()
	me, ok := v.group.Member(own)
	if !ok {
		return nil, nil, fmt.Errorf("%w: the old group has no leaf of this device", errWayBack)
	}
	extensions, err := v.c.leafExtensions([]byte(queueAddressOf(me.LeafNode)))
	if err != nil {
		return nil, nil, err
	}
	joined, commit, err := mls.JoinByCommit(v.c.groups, mls.ExternalJoinOptions{
		GroupInfo: answer.GroupInfo, Signer: v.c.self.signer, Credential: v.c.mlsCredential(),
		LeafExtensions: extensions, ExtraCapabilities: capabilities(), Replace: &own,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errWayBack, err)
	}
	return joined, commit, nil
}

// returnItem makes the request that publishes the commit. The own address is among
// those to add, in case somebody has taken it from the channel.
func (v *conversation) returnItem(next *conversation, key ed25519.PrivateKey, answer *qpcv1.RejoinAnswer, commit []byte) (vault.OutboxItem, error) {
	sealed, err := sealRejoin(answer.RejoinKey, v.id, answer.Epoch, commit)
	if err != nil {
		return vault.OutboxItem{}, err
	}
	nextKey, err := next.signingKey()
	if err != nil {
		return vault.OutboxItem{}, err
	}
	item := vault.OutboxItem{Conversation: v.id, ItemID: random16(), Kind: outboxRejoin, CreatedAt: v.c.now()}
	raw, signature, err := signed(key, labelCommit, &qpcv1.CommitBody{
		ChannelId: v.id[:], Epoch: answer.Epoch, ItemId: item.ItemID[:], MlsMessage: sealed,
		NextVerifyKey: slices.Clone(nextKey[32:]), AddAddresses: v.returnAddresses(next),
	})
	if err != nil {
		return vault.OutboxItem{}, err
	}
	item.Payload, err = proto.Marshal(&qpcv1.CommitRequest{Body: raw, Signature: signature})
	return item, err
}

// returnAddresses are those of all members, in no order of theirs: the own address
// alone would tell the server whose commit it is. Where it does not know one of them,
// it is asked to add none.
func (v *conversation) returnAddresses(next *conversation) [][]byte {
	if v.notes.Healing.Bare {
		return nil
	}
	var all [][]byte
	for m := range next.group.Members() {
		all = append(all, []byte(queueAddressOf(m.LeafNode)))
	}
	slices.SortFunc(all, bytes.Compare)
	return all
}

// credentials lists the accounts of the group.
func (v *conversation) credentials() []identity.Credential {
	var list []identity.Credential
	for m := range v.group.Members() {
		if credential, err := identity.ParseCredential(m.Credential.Identity); err == nil {
			list = append(list, credential)
		}
	}
	return list
}
