// Package contact serves ContactService: tokens that pay for reaching a
// stranger, and deliveries that are paid for with them. Tokens are issued to
// accounts and spent on anonymous connections, and nothing that is seen or kept
// at one end is found at the other.
package contact

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"quicprochat/core/tokens"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/address"
	"quicprochat/server/mint"
	"quicprochat/server/queue"
	"quicprochat/server/ratelimit"
	"quicprochat/server/session"
	"quicprochat/server/storage"
)

// Waker tells subscribers what came into their queues.
type Waker interface {
	Wake(appended ...storage.Appended)
}

// Store is what the service needs of the server's store.
type Store interface {
	storage.ContactStore
	Account(ctx context.Context, id [16]byte) (storage.Account, error)
}

// Options are what a Service is made of.
type Options struct {
	Store  Store
	Sealer *address.Sealer
	Waker  Waker
	Mint   *mint.Mint
	// QuotaKey hides in the store whose a count is.
	QuotaKey [32]byte
	// TokensPerDay is how many tokens an account gets in a day (UTC).
	TokensPerDay int
	Now          func() time.Time
}

// issueRate bounds how often an account may have a batch evaluated, which takes the
// server some ten milliseconds, whether it counts or not.
var issueRate = ratelimit.Rate{PerMinute: 6, Burst: 20}

// Service implements ContactService.
type Service struct {
	Options
	issues *ratelimit.Limiter
}

// New returns a Service.
func New(o Options) *Service {
	return &Service{o, ratelimit.New(map[int32]ratelimit.Rate{0: issueRate}, o.Now)}
}

// Register adds the service's methods to r.
func (s *Service) Register(r *wire.Router) {
	wire.Handle(r, s.issue)
	wire.Handle(r, s.deliver)
}

var (
	errBatch   = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_MALFORMED, "A batch has 1 to 100 blinded elements of 32 bytes.")
	errItem    = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_MALFORMED, "An item has an id of 16 bytes and is not empty.")
	errAddress = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_ADDRESS_INVALID, "A queue address was not made by this server.")
	errGone    = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_ACCOUNT, "This account does not exist any more.")
)

func (s *Service) issue(ctx context.Context, p *wire.Peer, req *qpcv1.IssueTokensRequest) (*qpcv1.IssueTokensResponse, error) {
	device, err := session.DeviceOf(p)
	if err != nil {
		return nil, err
	}
	if len(req.Blinded) == 0 || len(req.Blinded) > tokens.MaxBatch {
		return nil, errBatch
	}
	if wait := s.issues.Allow(0, ratelimit.Account(device.Account)); wait > 0 {
		return nil, &wire.Error{
			Code: qpcv1.ErrorCode_ERROR_CODE_RATE_LIMITED, Message: "Too many requests. Try again a little later.", RetryAfter: wait,
		}
	}
	account, err := s.Store.Account(ctx, device.Account)
	if errors.Is(err, storage.ErrUnknownAccount) {
		return nil, errGone
	} else if err != nil {
		return nil, fmt.Errorf("account store: %w", err)
	}
	if now := s.Now(); account.Banned(now) {
		return nil, session.BannedError(account.Ban, now)
	}
	key, err := s.Mint.Today()
	if err != nil {
		return nil, err
	}
	if req.KeyId != key.ID() {
		return nil, mint.ErrKey
	}
	evaluated, proof, err := key.Evaluate(req.Blinded) // before it is counted: a bad batch costs nothing
	if errors.Is(err, tokens.ErrElement) || errors.Is(err, tokens.ErrBatch) {
		return nil, errBatch
	} else if err != nil {
		return nil, err
	}
	if err := s.count(ctx, device.Account, req.Blinded); err != nil {
		return nil, err
	}
	return &qpcv1.IssueTokensResponse{
		Evaluated: evaluated, Proof: proof, Key: &qpcv1.TokenKey{Id: key.ID(), PublicKey: key.Public()},
	}, nil
}

// count counts a batch against the account's quota of the day.
func (s *Service) count(ctx context.Context, account [16]byte, blinded [][]byte) error {
	now := s.Now()
	err := s.Store.CountTokens(ctx, storage.TokenBatch{
		Quota: s.quotaOf(account, now), Batch: s.batchOf(blinded), Count: len(blinded), Limit: s.TokensPerDay, Now: now,
	})
	if errors.Is(err, storage.ErrTokenQuota) {
		return &wire.Error{
			Code:       qpcv1.ErrorCode_ERROR_CODE_TOKEN_QUOTA,
			Message:    "You have invited as many people as this server allows in a day.",
			RetryAfter: time.Unix(int64(storage.DayOf(now)), 0).Add(24 * time.Hour).Sub(now),
		}
	} else if err != nil {
		return fmt.Errorf("contact store: %w", err)
	}
	return nil
}

// quotaOf stands for an account on the day of now.
func (s *Service) quotaOf(account [16]byte, now time.Time) storage.QuotaKey {
	mac := hmac.New(sha256.New, s.QuotaKey[:])
	mac.Write([]byte("account\x00"))
	mac.Write(account[:])
	mac.Write(binary.BigEndian.AppendUint64(nil, storage.DayOf(now)))
	return storage.QuotaKey(mac.Sum(nil))
}

// batchOf tells a batch from others. What it hashes has 32 bytes each.
func (s *Service) batchOf(blinded [][]byte) [32]byte {
	mac := hmac.New(sha256.New, s.QuotaKey[:])
	mac.Write([]byte("batch\x00"))
	for _, b := range blinded {
		mac.Write(b)
	}
	return [32]byte(mac.Sum(nil))
}

func (s *Service) deliver(ctx context.Context, _ *wire.Peer, req *qpcv1.DeliverSealedRequest) (*qpcv1.DeliverSealedResponse, error) {
	if len(req.ItemId) != 16 || len(req.Sealed) == 0 {
		return nil, errItem
	}
	to, err := s.Sealer.OpenAddress(req.Address)
	if err != nil {
		return nil, errAddress
	}
	spent, err := s.Mint.Check([][]byte{req.Token}, []byte("deliver\x00"), req.ItemId, req.Address)
	if err != nil {
		return nil, err
	}
	now := s.Now()
	posted, err := s.Store.DeliverSealed(ctx, storage.SealedDelivery{
		Token: spent[0], Queue: to, Seal: s.sealFor(req, now), Now: now,
	})
	if errors.Is(err, storage.ErrTokenSpent) {
		return nil, mint.ErrSpent
	} else if err != nil {
		return nil, fmt.Errorf("contact store: %w", err)
	}
	s.Waker.Wake(posted.Appended...)
	return &qpcv1.DeliverSealedResponse{}, nil
}

// sealFor makes the item: to its receiver, and in the store, it looks like a
// Welcome that came with a commit.
func (s *Service) sealFor(req *qpcv1.DeliverSealedRequest, now time.Time) storage.SealFunc {
	return func(to storage.QueueID, seq, _ uint64) ([]byte, error) {
		encoded, err := proto.Marshal(&qpcv1.QueueItem{
			ItemId: req.ItemId, ReceivedAt: queue.Millis(now),
			Body: &qpcv1.QueueItem_Welcome{Welcome: &qpcv1.SealedWelcome{Sealed: req.Sealed}},
		})
		if err != nil {
			return nil, fmt.Errorf("encoding an item: %w", err)
		}
		return s.Sealer.SealItem(to, seq, encoded), nil
	}
}
