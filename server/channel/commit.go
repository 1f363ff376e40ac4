package channel

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"time"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/address"
	"quicprochat/server/storage"
)

func (s *Service) commit(ctx context.Context, _ *wire.Peer, req *qpcv1.CommitRequest) (*qpcv1.CommitResponse, error) {
	body := &qpcv1.CommitBody{}
	if proto.Unmarshal(req.Body, body) != nil {
		return nil, errMalformed
	}
	id, ok := parseID[storage.ChannelID](body.ChannelId)
	item, itemOK := parseID[storage.ItemID](body.ItemId)
	if !ok || !itemOK || len(body.MlsMessage) == 0 || len(body.NextVerifyKey) != ed25519.PublicKeySize {
		return nil, errMalformed
	}
	if _, err := s.verify(ctx, commitDomain, id, body.Epoch, req.Body, req.Signature); err != nil {
		return nil, err
	}
	now := s.now()
	welcomes, err := s.checkChange(body, now)
	if err != nil {
		return nil, err
	}
	paid, err := s.checkTokens(ctx, id, body, req.Tokens)
	if err != nil {
		return nil, err
	}
	welcomes = welcomes[:len(paid)] // in no case more than were paid for
	posted, err := s.store.Commit(ctx, storage.Commit{
		Channel:  id,
		Epoch:    body.Epoch,
		Item:     item,
		NextKey:  body.NextVerifyKey,
		Add:      body.AddAddresses,
		Remove:   body.RemoveAddresses,
		Welcomes: welcomes,
		Tokens:   paid,
		Resolve:  s.resolve,
		Seal:     s.commitDelivery(body, now).seal,
		Now:      now,
	})
	if err != nil {
		return nil, storeError(err)
	}
	s.waker.Wake(posted.Appended...)
	return &qpcv1.CommitResponse{ChannelSeq: posted.ChannelSeq}, nil
}

// checkChange validates the change of addresses and returns the welcomes as
// the store takes them.
func (s *Service) checkChange(body *qpcv1.CommitBody, now time.Time) ([]storage.Welcome, error) {
	if err := s.checkAddresses(body.AddAddresses); err != nil {
		return nil, err
	}
	if len(body.RemoveAddresses) > s.maxAddresses || len(body.Welcomes) > s.maxAddresses {
		return nil, errFull
	}
	for _, a := range body.RemoveAddresses {
		if len(a) != address.Size {
			return nil, errAddress
		}
	}
	welcomes := make([]storage.Welcome, len(body.Welcomes))
	for i, w := range body.Welcomes {
		queue, ok := s.resolve(w.GetAddress())
		if !ok {
			return nil, errAddress
		}
		if len(w.GetSealed()) == 0 {
			return nil, errMalformed
		}
		delivery := s.welcomeDelivery(welcomeItemID(body.ItemId, w.GetAddress()), w.GetSealed(), now)
		welcomes[i] = storage.Welcome{Queue: queue, Seal: delivery.seal}
	}
	return welcomes, nil
}

// checkTokens returns a token for each Welcome. A commit that was accepted is
// answered like the first time, whatever has become of its tokens' keys
// since, and one that lost is told that, so that the tokens are kept.
func (s *Service) checkTokens(ctx context.Context, id storage.ChannelID, body *qpcv1.CommitBody, tokens [][]byte) ([]storage.SpentToken, error) {
	n := len(body.Welcomes)
	paid, err := s.mint.Check(tokens[:min(n, len(tokens))], []byte("commit\x00"), body.ItemId, body.ChannelId)
	if err == nil && len(paid) == n {
		return paid, nil
	}
	if _, decided, lookErr := s.store.Winner(ctx, id, body.Epoch); lookErr != nil {
		return nil, storeError(lookErr)
	} else if decided {
		return nil, nil // it changes nothing any more: the store says how it ended
	}
	if err == nil {
		err = errToken
	}
	return nil, err
}

// welcomeItemID tells a welcome from the commit that it came with, which a
// device gets too that is removed and added again in one step. It is the same
// in every retry.
func welcomeItemID(commit, address []byte) []byte {
	h := sha256.New()
	h.Write([]byte("qpc welcome item v1\x00"))
	h.Write(commit)
	h.Write(address)
	return h.Sum(nil)[:16]
}
