package client

import "context"

// RotateKeys commits fresh key material of this device to a conversation, so
// that whoever had stolen its keys before is shut out again (post-compromise
// security). It returns when the commit is merged; races with other members'
// commits are retried like any change.
func (c *Client) RotateKeys(ctx context.Context, id ConversationID) error { return errTODO }

// GroupEpoch is where a conversation's MLS group stands. Two members that are
// in the same epoch with the same authenticator agree on everything.
type GroupEpoch struct {
	Epoch uint64
	// Authenticator is MLS's epoch authenticator (RFC 9420 §8.7).
	Authenticator []byte
}

// GroupEpoch tells where the conversation's group stands on this device.
func (c *Client) GroupEpoch(ctx context.Context, id ConversationID) (GroupEpoch, error) {
	return GroupEpoch{}, errTODO
}
