package channel

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"

	"quicprochat/server/storage"
)

// The domains of the signatures over request bodies.
const (
	postDomain   = "qpc channel post v1\x00"
	commitDomain = "qpc channel commit v1\x00"
	getDomain    = "qpc channel get v1\x00"
	deleteDomain = "qpc channel delete v1\x00"
)

// verify checks the signature over body with the channel's key of the given
// epoch and returns where the channel stands. It runs before any transaction
// is begun, so that strangers cannot keep the writer busy.
//
// The error is a *wire.Error: UNKNOWN_CHANNEL, STALE_EPOCH where the channel
// has no key for the epoch, BAD_SIGNATURE.
func (s *Service) verify(ctx context.Context, domain string, id storage.ChannelID, epoch uint64, body, signature []byte) (storage.Channel, error) {
	channel, err := s.store.Channel(ctx, id)
	if err != nil {
		return channel, storeError(err)
	}
	return channel, s.verifyIn(ctx, channel, domain, id, epoch, body, signature)
}

// verifyIn is verify where it is known where the channel stands.
func (s *Service) verifyIn(ctx context.Context, channel storage.Channel, domain string, id storage.ChannelID, epoch uint64, body, signature []byte) error {
	key, ok := channel.VerifyKey(epoch)
	if !ok {
		return s.stale(ctx, id, epoch, channel.Epoch)
	}
	message := append([]byte(domain), body...)
	if len(key) != ed25519.PublicKeySize || !ed25519.Verify(key, message, signature) {
		return errSignature
	}
	return nil
}

// stale tells where the channel stands to somebody whose epoch it has left
// behind, or not reached.
func (s *Service) stale(ctx context.Context, id storage.ChannelID, epoch, current uint64) error {
	stale := &storage.StaleError{Current: current}
	winner, ok, err := s.store.Winner(ctx, id, epoch)
	if err != nil && !errors.Is(err, storage.ErrUnknownChannel) {
		return fmt.Errorf("looking for a winner: %w", err)
	}
	if ok {
		stale.Winner = &winner
	}
	return storeError(stale)
}
