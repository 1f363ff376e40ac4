package client

import (
	"context"
	"errors"
	"fmt"

	"quicprochat/core/identity"
	"quicprochat/core/vault"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// userMessages are looked through in order: the first that matches speaks.
var userMessages = []struct {
	err     error
	message string
}{
	{ErrWrongPassword, "Wrong name or password."},
	{ErrNameTaken, "Somebody already has this name. Please choose another one."},
	{ErrNameInvalid, "A name has 2 to 32 characters: a–z, 0–9, dot, dash and underscore, starting and ending with a letter or digit."},
	{ErrInviteRequired, "This server needs an invite. Please use an invite link."},
	{ErrInviteInvalid, "This invite has been used up or withdrawn. Please ask for a new one."},
	{ErrInviteExpired, "This invite has expired. Please ask for a new one."},
	{ErrRegistrationClosed, "This server does not take new accounts."},
	{ErrServerIdentity, "The server at this address is not the one the link was made for. Please check the link."},
	{ErrServerIncompatible, "This server speaks another version of the protocol."},
	{ErrServerUnreachable, "The server cannot be reached. Please check your connection."},
	{ErrUnknownUser, "There is nobody with this name on the server."},
	{ErrUnreachableUser, "This person has no device that could be reached. They need to open the app once."},
	{ErrYourself, "That is you. Please choose somebody else."},
	{ErrUnavailable, "The server has a problem at the moment. Please try again in a while."},
	{ErrOffline, "You are offline. Please try again when the connection is back."},
	{ErrNotMember, "You are not part of this conversation any more."},
	{ErrNotAllowed, "Only an administrator of the group can do this."},
	{ErrUnknownConversation, "There is no such conversation."},
	{ErrUnknownMessage, "There is no such message."},
	{ErrTextInvalid, "A message needs some text, at most 64 KiB of it."},
	{ErrTitleInvalid, "A group needs a name of at most 128 bytes."},
	{ErrKeyChanged, "This account now uses another key than the one you know. Somebody may be pretending to be this person, so nothing was done."},
	{ErrBusy, "Others are changing the group at the moment. Please try again."},
	{ErrVaultPassword, "Wrong password."},
	{ErrProfileInUse, "This profile is already open in another window or program."},
	{ErrProfileExists, "There already is a profile here."},
	{ErrNoProfile, "There is no profile here yet."},
	{ErrProfileCorrupt, "The profile on this computer is damaged."},
	{ErrDeviceRevoked, "This device was removed from your account."},
	{ErrRateLimited, "Too many attempts. Please wait a little."},
	{ErrTooManyDevices, "Your account has too many devices. Please remove one first."},
	{ErrGroupFull, "The server allows no more devices in this group."},
	{ErrBroken, "This device can no longer follow the conversation. Please start a new one."},
	{vault.ErrFull, "The disk of this computer is full."},
	{vault.ErrTooNew, "This profile was made by a newer version of the app."},
	{ErrServer, "The server has a problem. Please try again later."},
	{ErrClosed, "The app is closing."},
	{wire.ErrLink, "This is not a valid invite link. It starts with qpc:// – please copy it again."},
	{context.DeadlineExceeded, "This took too long. Please check your connection and try again."},
	{context.Canceled, "Cancelled."},
}

// UserMessage is a sentence for a person about err; empty for nil.
func UserMessage(err error) string {
	if err == nil {
		return ""
	}
	if weak, ok := errors.AsType[*WeakPasswordError](err); ok {
		return weak.Error()
	}
	if named, ok := errors.AsType[*NameError](err); ok {
		return named.Name + ": " + UserMessage(named.Err)
	}
	err = fromWire(err)
	for _, m := range userMessages {
		if errors.Is(err, m.err) {
			return m.message
		}
	}
	return "Something went wrong. Please try again."
}

// wireErrors gives the server's codes the names that callers decide by.
var wireErrors = map[qpcv1.ErrorCode]error{
	qpcv1.ErrorCode_ERROR_CODE_INTERNAL:            ErrServer,
	qpcv1.ErrorCode_ERROR_CODE_UNAVAILABLE:         ErrUnavailable,
	qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_METHOD:      ErrServerIncompatible,
	qpcv1.ErrorCode_ERROR_CODE_RATE_LIMITED:        ErrRateLimited,
	qpcv1.ErrorCode_ERROR_CODE_NAME_TAKEN:          ErrNameTaken,
	qpcv1.ErrorCode_ERROR_CODE_NAME_INVALID:        ErrNameInvalid,
	qpcv1.ErrorCode_ERROR_CODE_INVITE_REQUIRED:     ErrInviteRequired,
	qpcv1.ErrorCode_ERROR_CODE_INVITE_INVALID:      ErrInviteInvalid,
	qpcv1.ErrorCode_ERROR_CODE_INVITE_EXPIRED:      ErrInviteExpired,
	qpcv1.ErrorCode_ERROR_CODE_REGISTRATION_CLOSED: ErrRegistrationClosed,
	qpcv1.ErrorCode_ERROR_CODE_LOGIN_FAILED:        ErrWrongPassword,
	qpcv1.ErrorCode_ERROR_CODE_DEVICE_REVOKED:      ErrDeviceRevoked,
	qpcv1.ErrorCode_ERROR_CODE_TOO_MANY_DEVICES:    ErrTooManyDevices,
	qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_ACCOUNT:     ErrUnknownUser,
	qpcv1.ErrorCode_ERROR_CODE_NO_KEY_PACKAGE:      ErrUnreachableUser,
	qpcv1.ErrorCode_ERROR_CODE_CHANNEL_FULL:        ErrGroupFull,
}

// connectionErrors gives failures of a connection the names that callers
// decide by.
var connectionErrors = []struct{ from, to error }{
	{wire.ErrPinMismatch, ErrServerIdentity},
	{wire.ErrUntrusted, ErrServerIdentity},
	{wire.ErrIncompatible, ErrServerIncompatible},
	{wire.ErrUnreachable, ErrServerUnreachable},
	{wire.ErrClosed, ErrOffline},
	{identity.ErrName, ErrNameInvalid},
}

// fromWire wraps an error of core/wire in the sentinel that it stands for;
// others it returns as they are.
func fromWire(err error) error {
	if err == nil {
		return nil
	}
	if sentinel, ok := wireErrors[wire.CodeOf(err)]; ok && !errors.Is(err, sentinel) {
		return fmt.Errorf("%w: %w", sentinel, err)
	}
	for _, c := range connectionErrors {
		if errors.Is(err, c.from) && !errors.Is(err, c.to) {
			return fmt.Errorf("%w: %w", c.to, err)
		}
	}
	return err
}
