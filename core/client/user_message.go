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
	{ErrPasswordUncertain, "The connection broke while your password was being changed. Both passwords open this app until it is known which one counts."},
	{ErrRecoveryUncertain, "The connection broke at the very end. Please try to log in with your new password; if that does not work, use the recovery code again."},
	{ErrPresentPassword, "That is not your present password."},
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
	{ErrAccountDeleted, "Your account was deleted on another device."},
	{ErrDeviceUnknown, "The server does not know this device any more. Your account may have been deleted."},
	{ErrAccountChanged, "Your account was changed on another device at the same time. Please try again."},
	{ErrRecoveryCodeInvalid, "This is not a recovery code. It has seven groups of four characters; please check for typing mistakes."},
	{ErrWrongRecoveryCode, "Wrong name or recovery code."},
	{ErrRecoveryLocked, "Too many wrong recovery codes were tried for this name today. Please try again tomorrow."},
	{ErrTooManySettings, "You have muted, pinned or blocked as much as fits. Please undo some of it first."},
	{ErrBanned, "Your account is banned from this server."},
	{ErrNotReportable, "This message cannot be reported: this device cannot prove who sent it."},
	{ErrReportRefused, "The server does not accept this report. The sender's account may be gone."},
	{ErrReportQuota, "You have reported as many messages as you can today. Please try again tomorrow."},
	{ErrUnknownReport, "There is no such report. It may have expired."},
	{ErrNoteInvalid, "A note has at most 1000 bytes of text, without control characters."},
	{ErrRoleRequired, "Your role on this server does not allow this. Moderators can ban users, admins everybody else, and nobody themselves."},
	{ErrLastAdmin, "This is the last admin of the server. Make somebody else an admin first."},
	{ErrRateLimited, "Too many attempts. Please wait a little."},
	{ErrTooManyDevices, "Your account has too many devices. Please remove one first."},
	{ErrGroupFull, "The server allows no more devices in this group."},
	{ErrPushDisabled, "This server wakes no devices through push services."},
	{ErrPushInvalid, "The server cannot use this push endpoint. It must be a public https address, with the keys that came with it."},
	{ErrContactQuota, "You have invited as many people today as this server allows. Please try again tomorrow."},
	{ErrClock, "The clocks of this computer and of the server differ by half a day or more. Please check the date and time here."},
	{ErrBroken, "This device lost track of the conversation and is asking the others for the way back. Please try again in a while."},
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
	if said, ok := errors.AsType[*wire.Error](err); ok && errors.Is(err, ErrBanned) && said.RetryAfter > 0 {
		return said.Message // it says until when
	}
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
	qpcv1.ErrorCode_ERROR_CODE_DEVICE_REFUSED:      ErrDeviceUnknown,
	qpcv1.ErrorCode_ERROR_CODE_PASSWORD_WRONG:      ErrPresentPassword,
	qpcv1.ErrorCode_ERROR_CODE_ACCOUNT_CHANGED:     ErrAccountChanged,
	qpcv1.ErrorCode_ERROR_CODE_RECOVERY_FAILED:     ErrWrongRecoveryCode,
	qpcv1.ErrorCode_ERROR_CODE_RECOVERY_LOCKED:     ErrRecoveryLocked,
	qpcv1.ErrorCode_ERROR_CODE_TOO_MANY_DEVICES:    ErrTooManyDevices,
	qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_ACCOUNT:     ErrUnknownUser,
	qpcv1.ErrorCode_ERROR_CODE_NO_KEY_PACKAGE:      ErrUnreachableUser,
	qpcv1.ErrorCode_ERROR_CODE_CHANNEL_FULL:        ErrGroupFull,
	qpcv1.ErrorCode_ERROR_CODE_ACCOUNT_BANNED:      ErrBanned,
	qpcv1.ErrorCode_ERROR_CODE_REPORT_INVALID:      ErrReportRefused,
	qpcv1.ErrorCode_ERROR_CODE_REPORT_QUOTA:        ErrReportQuota,
	qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_REPORT:      ErrUnknownReport,
	qpcv1.ErrorCode_ERROR_CODE_ROLE_REQUIRED:       ErrRoleRequired,
	qpcv1.ErrorCode_ERROR_CODE_LAST_ADMIN:          ErrLastAdmin,
	qpcv1.ErrorCode_ERROR_CODE_PUSH_DISABLED:       ErrPushDisabled,
	qpcv1.ErrorCode_ERROR_CODE_PUSH_INVALID:        ErrPushInvalid,
	qpcv1.ErrorCode_ERROR_CODE_TOKEN_QUOTA:         ErrContactQuota,
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
	if closed, ok := errors.AsType[*wire.ClosedError](err); ok && closed.Goodbye == qpcv1.Goodbye_REASON_BANNED && !errors.Is(err, ErrBanned) {
		err = fmt.Errorf("%w: %w", ErrBanned, err)
	}
	for _, c := range connectionErrors {
		if errors.Is(err, c.from) && !errors.Is(err, c.to) {
			return fmt.Errorf("%w: %w", c.to, err)
		}
	}
	return err
}
