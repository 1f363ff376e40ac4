package storage

import (
	"log/slog"
	"time"
)

// TokenHash stands for a token: a hash of its nonce. It shows itself in no log.
type TokenHash [32]byte

func (TokenHash) String() string         { return "[token]" }
func (h TokenHash) LogValue() slog.Value { return slog.StringValue(h.String()) }

// SpentToken is a token and what it is spent for.
type SpentToken struct {
	Token TokenHash
	// Use is a hash of the token's nonce with what it pays for: it tells a
	// repetition from another use, and nothing else.
	Use [32]byte
	// Due is when no server accepts the token's key any more, and the token is
	// forgotten. Rounded down to the day.
	Due time.Time
}

// TokenBatch asks to count tokens that are about to be issued.
type TokenBatch struct {
	// Quota stands for the account on one day.
	Quota QuotaKey
	// Batch tells one batch of the account from the next.
	Batch [32]byte
	// Count is how many tokens it has, and Limit how many the quota allows.
	Count, Limit int
	Now          time.Time
}

// SealedDelivery asks to append an item to one queue for a token.
type SealedDelivery struct {
	Token SpentToken
	Queue QueueID
	// Seal is called once; its channelSeq is 0.
	Seal SealFunc
	Now  time.Time
}
