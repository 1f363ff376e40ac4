package moderation

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"quicprochat/core/franking"
	"quicprochat/core/identity"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/session"
	"quicprochat/server/storage"
)

// maxNote bounds a note or reason, in bytes.
const maxNote = 1000

// validNote tells whether a note or reason is text of at most maxNote bytes. It
// is shown to operators, also in terminals, so it commands none.
func validNote(note string) bool {
	return len(note) <= maxNote && utf8.ValidString(note) &&
		!strings.ContainsFunc(note, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' })
}

func (s *Service) reportMessage(ctx context.Context, p *wire.Peer, req *qpcv1.ReportMessageRequest) (*qpcv1.ReportMessageResponse, error) {
	reporter, err := session.DeviceOf(p)
	if err != nil {
		return nil, err
	}
	if _, known := qpcv1.ReportMessageRequest_Category_name[int32(req.Category)]; !known || req.Category == qpcv1.ReportMessageRequest_CATEGORY_UNSPECIFIED {
		return nil, errCategory
	}
	if !validNote(req.Note) {
		return nil, errNote
	}
	sender, gone, err := s.prove(ctx, req)
	if err != nil {
		return nil, err
	}
	now := s.Now()
	id := s.sealer.reportID(reporter.Account, sender, req.Franked.Content)
	sealed, err := s.sealer.sealReport(id, &qpcv1.StoredReport{
		Franked: req.Franked, DeviceCertificate: req.DeviceCertificate, Category: req.Category, Note: req.Note, DeviceGone: gone,
	})
	if err != nil {
		return nil, fmt.Errorf("sealing a report: %w", err)
	}
	_, err = s.Store.AddReport(ctx, storage.NewReport{ID: id, Sealed: sealed, Quota: s.sealer.quota(reporter.Account, now), Now: now})
	switch {
	case errors.Is(err, storage.ErrReportQuota):
		return nil, quotaError(now)
	case err != nil:
		return nil, fmt.Errorf("storing a report: %w", err)
	}
	return &qpcv1.ReportMessageResponse{}, nil
}

// prove makes sure that an account of this server has sent what is reported,
// with a device that it has certified, and tells whether that device is gone.
func (s *Service) prove(ctx context.Context, req *qpcv1.ReportMessageRequest) (sender identity.AccountID, gone bool, err error) {
	if _, err := franking.ParseContent(req.GetFranked().GetContent()); err != nil {
		return sender, false, errReport
	}
	cert, err := identity.ParseCertificate(req.DeviceCertificate)
	if err != nil {
		return sender, false, errReport
	}
	account, err := s.Store.Account(ctx, cert.AccountID)
	switch {
	case errors.Is(err, storage.ErrUnknownAccount):
		return sender, false, errReport
	case err != nil:
		return sender, false, fmt.Errorf("reading the account: %w", err)
	case !cert.AccountKey.Equal(ed25519.PublicKey(account.PublicKey)):
		return sender, false, errReport // anybody can certify anything under a key of their own
	}
	if franking.Verify(cert.DeviceKey, cert.AccountID, req.Franked) != nil {
		return sender, false, errReport
	}
	_, err = s.Store.Device(ctx, cert.AccountID, cert.DeviceID())
	gone = errors.Is(err, storage.ErrUnknownDevice) || errors.Is(err, storage.ErrDeviceRevoked)
	if err != nil && !gone {
		return sender, false, fmt.Errorf("reading the device: %w", err)
	}
	return cert.AccountID, gone, nil
}

func quotaError(now time.Time) error {
	const day = 24 * time.Hour
	tomorrow := time.Unix(int64(storage.DayOf(now)), 0).Add(day)
	return &wire.Error{
		Code:       qpcv1.ErrorCode_ERROR_CODE_REPORT_QUOTA,
		Message:    "You have reported as many messages as you can today. Try again tomorrow.",
		RetryAfter: tomorrow.Sub(now),
	}
}
