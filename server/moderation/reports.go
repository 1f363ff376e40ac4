package moderation

import (
	"context"
	"errors"
	"fmt"

	"quicprochat/core/identity"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/storage"
)

const (
	maxReports     = 50
	maxReportBytes = 512 << 10
)

func (s *Service) listReports(ctx context.Context, _ *wire.Peer, req *qpcv1.ListReportsRequest) (*qpcv1.ListReportsResponse, error) {
	stored, more, err := s.Store.Reports(ctx, storage.ReportPage{
		Resolved: req.Resolved, After: req.After, Limit: pageLimit(req.Limit, maxReports), MaxBytes: maxReportBytes,
	})
	if err != nil {
		return nil, fmt.Errorf("listing reports: %w", err)
	}
	resp := &qpcv1.ListReportsResponse{Reports: make([]*qpcv1.Report, len(stored)), More: more}
	for i, r := range stored {
		if resp.Reports[i], err = s.show(ctx, r); err != nil {
			return nil, err
		}
	}
	return resp, nil
}

// show is a report as operators see it. The certificate stays here: it has the
// name of a device.
func (s *Service) show(ctx context.Context, stored storage.Report) (*qpcv1.Report, error) {
	r, err := s.sealer.openReport(stored)
	if err != nil {
		return nil, err
	}
	cert, err := identity.ParseCertificate(r.DeviceCertificate)
	if err != nil {
		return nil, fmt.Errorf("a stored certificate: %w", err)
	}
	account, err := s.Store.Account(ctx, cert.AccountID)
	if err != nil && !errors.Is(err, storage.ErrUnknownAccount) {
		return nil, fmt.Errorf("reading the account: %w", err)
	}
	return &qpcv1.Report{
		Number: stored.Number, Day: stored.Day, Resolution: qpcv1.Report_Resolution(stored.Resolution),
		AccountId: cert.AccountID[:], Name: account.Name, Banned: account.Banned(s.Now()),
		Content: r.GetFranked().GetContent(), Category: r.Category, Note: r.Note, DeviceGone: r.DeviceGone,
	}, nil
}

func (s *Service) resolveReport(ctx context.Context, _ *wire.Peer, req *qpcv1.ResolveReportRequest) (*qpcv1.ResolveReportResponse, error) {
	if _, known := qpcv1.Report_Resolution_name[int32(req.Resolution)]; !known || req.Resolution == qpcv1.Report_RESOLUTION_UNSPECIFIED {
		return nil, errResolution
	}
	err := s.Store.ResolveReport(ctx, req.Number, uint8(req.Resolution))
	switch {
	case errors.Is(err, storage.ErrUnknownReport):
		return nil, errNoReport
	case err != nil:
		return nil, fmt.Errorf("resolving a report: %w", err)
	}
	return &qpcv1.ResolveReportResponse{}, nil
}

// pageLimit is what a caller who asks for so many gets.
func pageLimit(asked uint32, most int) int {
	if asked == 0 || asked > uint32(most) {
		return most
	}
	return int(asked)
}
