// Package channel serves ChannelService: the order of a group's messages, one
// commit for each epoch, and the fan-out to queues. It knows keys of epochs
// and sealed addresses, and neither members nor senders.
package channel

import (
	"context"
	"crypto/ed25519"
	"log/slog"
	"time"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/address"
	"quicprochat/server/mint"
	"quicprochat/server/storage"
)

// Waker tells subscribers what came into their queues.
type Waker interface {
	Wake(appended ...storage.Appended)
}

// Options are what a Service works with. All are required.
type Options struct {
	Store  storage.ChannelStore
	Sealer *address.Sealer
	Waker  Waker
	// Mint tells whether the Welcomes of a commit are paid for.
	Mint *mint.Mint
	// MaxAddresses bounds the addresses of a channel.
	MaxAddresses int
	// Charge counts further posts to the rates of a peer whose call was let in
	// as one.
	Charge func(p *wire.Peer, posts int)
	// Explain turns an error of the store into what the sender of one of several
	// posts is told; nil: there is nothing to tell.
	Explain func(err error) *wire.Error
	Now     func() time.Time
	Log     *slog.Logger
}

// Service implements ChannelService.
type Service struct {
	store        storage.ChannelStore
	sealer       *address.Sealer
	waker        Waker
	mint         *mint.Mint
	maxAddresses int
	charge       func(p *wire.Peer, posts int)
	explain      func(err error) *wire.Error
	now          func() time.Time
	log          *slog.Logger
}

// New returns a Service.
func New(o Options) *Service {
	return &Service{
		store: o.Store, sealer: o.Sealer, waker: o.Waker, mint: o.Mint, maxAddresses: o.MaxAddresses, charge: o.Charge, explain: o.Explain,
		now: o.Now, log: o.Log,
	}
}

// Register adds the service's methods to r.
func (s *Service) Register(r *wire.Router) {
	wire.Handle(r, s.create)
	wire.Handle(r, s.post)
	wire.Handle(r, s.batchPost)
	wire.Handle(r, s.commit)
	wire.Handle(r, s.get)
	wire.Handle(r, s.delete)
}

func (s *Service) create(ctx context.Context, _ *wire.Peer, req *qpcv1.CreateChannelRequest) (*qpcv1.CreateChannelResponse, error) {
	id, ok := parseID[storage.ChannelID](req.ChannelId)
	if !ok || len(req.VerifyKey) != ed25519.PublicKeySize || len(req.Addresses) == 0 {
		return nil, errMalformed
	}
	if err := s.checkAddresses(req.Addresses); err != nil {
		return nil, err
	}
	err := s.store.CreateChannel(ctx, storage.NewChannel{
		ID: id, Epoch: req.Epoch, VerifyKey: req.VerifyKey, Addresses: req.Addresses, Now: s.now(),
	})
	if err != nil {
		return nil, storeError(err)
	}
	return &qpcv1.CreateChannelResponse{}, nil
}

func (s *Service) post(ctx context.Context, _ *wire.Peer, req *qpcv1.PostRequest) (*qpcv1.PostResponse, error) {
	post, err := s.parsePost(req)
	if err != nil {
		return nil, err
	}
	if _, err := s.verify(ctx, postDomain, post.Channel, post.Epoch, req.Body, req.Signature); err != nil {
		return nil, err
	}
	posted, err := s.store.Post(ctx, post)
	if err != nil {
		return nil, storeError(err)
	}
	s.waker.Wake(posted.Appended...)
	return &qpcv1.PostResponse{ChannelSeq: posted.ChannelSeq}, nil
}

// parsePost is what a request asks of the store, its signature not yet verified.
func (s *Service) parsePost(req *qpcv1.PostRequest) (storage.Post, error) {
	body := &qpcv1.PostBody{}
	if proto.Unmarshal(req.GetBody(), body) != nil {
		return storage.Post{}, errMalformed
	}
	id, ok := parseID[storage.ChannelID](body.ChannelId)
	item, itemOK := parseID[storage.ItemID](body.ItemId)
	if !ok || !itemOK || len(body.MlsMessage) == 0 {
		return storage.Post{}, errMalformed
	}
	now := s.now()
	return storage.Post{
		Channel: id, Epoch: body.Epoch, Item: item, Resolve: s.resolve, Seal: s.messageDelivery(body, now).seal, Now: now,
	}, nil
}

func (s *Service) get(ctx context.Context, _ *wire.Peer, req *qpcv1.GetChannelRequest) (*qpcv1.GetChannelResponse, error) {
	body := &qpcv1.GetChannelBody{}
	if proto.Unmarshal(req.Body, body) != nil {
		return nil, errMalformed
	}
	id, ok := parseID[storage.ChannelID](body.ChannelId)
	if !ok {
		return nil, errMalformed
	}
	channel, err := s.verify(ctx, getDomain, id, body.Epoch, req.Body, req.Signature)
	if err != nil {
		return nil, err
	}
	resp := &qpcv1.GetChannelResponse{CurrentEpoch: channel.Epoch}
	winner, ok, err := s.store.Winner(ctx, id, body.Epoch)
	if err != nil {
		return nil, storeError(err)
	}
	if ok {
		resp.WinnerItemId = winner[:]
		// The epoch ended after the first look.
		resp.CurrentEpoch = max(resp.CurrentEpoch, body.Epoch+1)
	}
	return resp, nil
}

func (s *Service) delete(ctx context.Context, _ *wire.Peer, req *qpcv1.DeleteChannelRequest) (*qpcv1.DeleteChannelResponse, error) {
	body := &qpcv1.DeleteChannelBody{}
	if proto.Unmarshal(req.Body, body) != nil {
		return nil, errMalformed
	}
	id, ok := parseID[storage.ChannelID](body.ChannelId)
	if !ok {
		return nil, errMalformed
	}
	if _, err := s.verify(ctx, deleteDomain, id, body.Epoch, req.Body, req.Signature); err != nil {
		return nil, err
	}
	if err := s.store.DeleteChannel(ctx, id, body.Epoch); err != nil {
		return nil, storeError(err)
	}
	return &qpcv1.DeleteChannelResponse{}, nil
}

// checkAddresses refuses addresses that are too many or do not open.
func (s *Service) checkAddresses(addresses [][]byte) error {
	if len(addresses) > s.maxAddresses {
		return errFull
	}
	for _, a := range addresses {
		if _, ok := s.resolve(a); !ok {
			return errAddress
		}
	}
	return nil
}

func parseID[ID ~[16]byte](b []byte) (ID, bool) {
	if len(b) != 16 {
		return ID{}, false
	}
	return ID([16]byte(b)), true
}
