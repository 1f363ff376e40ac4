package main

import (
	"errors"
	"fmt"

	"quicprochat/core/mls"
)

// failure is an error as it is answered.
type failure struct {
	Name    string `json:"name"`
	Section string `json:"section,omitempty"` // of a broken rule of the RFC
	Message string `json:"message"`
}

// protocolError is an error of this program rather than of MLS.
type protocolError struct{ name, message string }

func (e *protocolError) Error() string { return e.message }

func badRequest(format string, args ...any) error {
	return &protocolError{"bad-request", fmt.Sprintf(format, args...)}
}

// names has the name of each sentinel of the package. The first that fits counts.
var names = []struct {
	err  error
	name string
}{
	{mls.ErrCorruptState, "corrupt-state"}, // wraps what is wrong with a record
	{mls.ErrMalformed, "malformed"},
	{mls.ErrUnsupported, "unsupported"},
	{mls.ErrWrongGroup, "wrong-group"},
	{mls.ErrOldEpoch, "old-epoch"},
	{mls.ErrFutureEpoch, "future-epoch"},
	{mls.ErrOwnMessage, "own-message"},
	{mls.ErrAlreadyUsed, "already-used"},
	{mls.ErrTooFarAhead, "too-far-ahead"},
	{mls.ErrDecrypt, "decrypt"},
	{mls.ErrInvalidSignature, "invalid-signature"},
	{mls.ErrRemoved, "removed"},
	{mls.ErrPending, "pending"},
	{mls.ErrNoPending, "no-pending"},
	{mls.ErrStale, "stale"},
	{mls.ErrLeaving, "leaving"},
	{mls.ErrNoKeyPackage, "no-key-package"},
	{mls.ErrNoTree, "no-tree"},
	{mls.ErrMissingProposal, "missing-proposal"},
	{mls.ErrTooManyProposals, "too-many-proposals"},
	{mls.ErrMissingPSK, "missing-psk"},
	{mls.ErrSigner, "signer"},
	{mls.ErrPublicHandshake, "public-handshake"},
	{mls.ErrReInit, "reinit"},
}

func failureOf(err error) *failure {
	f := &failure{Name: "other", Message: err.Error()}
	var protocol *protocolError
	var rule *mls.ValidationError
	var successor *mls.SuccessorError
	switch {
	case errors.As(err, &protocol):
		f.Name = protocol.name
	case errors.As(err, &rule):
		f.Name, f.Section = "invalid", rule.Section
	case errors.As(err, &successor):
		f.Name = "successor"
	default:
		for _, n := range names {
			if errors.Is(err, n.err) {
				f.Name = n.name
				break
			}
		}
	}
	return f
}
