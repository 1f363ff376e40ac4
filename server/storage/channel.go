package storage

import (
	"log/slog"
	"time"
)

// ChannelID names a channel: 16 random bytes. It shows itself in no log.
type ChannelID [16]byte

func (ChannelID) String() string         { return "[channel]" }
func (c ChannelID) LogValue() slog.Value { return slog.StringValue(c.String()) }

// ItemID tells items of a channel apart, and retries of one item together.
type ItemID [16]byte

// NewChannel asks for a channel.
type NewChannel struct {
	ID    ChannelID
	Epoch uint64
	// VerifyKey is of this epoch. Ed25519, 32 bytes.
	VerifyKey []byte
	// Addresses may come in any order; doubles count once.
	Addresses [][]byte
	Now       time.Time
}

// Channel is where a channel stands.
type Channel struct {
	// Epoch is the current one.
	Epoch uint64
	// Keys are the verify keys of the current epoch and up to PastEpochs
	// before, the current first. Keys of an epoch never change.
	Keys []EpochKey
}

// EpochKey is the verify key of an epoch: Ed25519, 32 bytes.
type EpochKey struct {
	Epoch uint64
	Key   []byte
}

// VerifyKey gives the key of an epoch; ok is false where the channel does not
// accept that epoch.
func (c Channel) VerifyKey(epoch uint64) (key []byte, ok bool) {
	for _, k := range c.Keys {
		if k.Epoch == epoch {
			return k.Key, true
		}
	}
	return nil, false
}

// Post asks to append an item to a channel.
type Post struct {
	Channel ChannelID
	Epoch   uint64
	Item    ItemID
	// Resolve is asked for every address of the channel. Addresses that it
	// cannot open and queues that do not exist are passed over.
	Resolve ResolveFunc
	// Seal is called once for each queue.
	Seal SealFunc
	Now  time.Time
}

// Commit asks to end an epoch.
type Commit struct {
	Channel ChannelID
	// Epoch is the one that it ends.
	Epoch uint64
	Item  ItemID
	// NextKey is the verify key of the next epoch. Ed25519, 32 bytes.
	NextKey []byte
	// Add and Remove change the addresses. An address to remove that is not
	// there, and one to add that is, are passed over.
	Add, Remove [][]byte
	Welcomes    []Welcome
	// Tokens are spent with the commit, each of them for it. No two are the same.
	Tokens []SpentToken
	// Resolve and Seal are as in Post, for the addresses before the change.
	Resolve ResolveFunc
	Seal    SealFunc
	Now     time.Time
}

// Welcome is an item for one queue that is not a channel's yet. A queue that
// does not exist is passed over.
type Welcome struct {
	Queue QueueID
	Seal  SealFunc
}

// Posted is the outcome of Post and Commit.
type Posted struct {
	// ChannelSeq is the item's position in the channel, from 1.
	ChannelSeq uint64
	// Appended is what the queues got, each queue once.
	Appended []Appended
	// Duplicate tells that the item was there already.
	Duplicate bool
}

// PostOutcome is what became of one post of several.
type PostOutcome struct {
	Posted Posted
	Err    error
}

// Appended tells that a queue got something, to those who wait for it.
type Appended struct {
	Queue QueueID
	// Item is what it got, as FetchItems would give it. Its Seq is 0 where
	// there was more than one, or too much to keep in memory: fetch it then.
	Item Item
}
