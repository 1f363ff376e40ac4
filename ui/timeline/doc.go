// Package timeline is a virtual list for long conversations: rows of any
// height, measured only when they come near the viewport, so that a step costs
// the same in a chat of ten messages and of a hundred thousand.
//
// A [Timeline] shows the rows of a [Source]. It holds on to the newest row
// while it is at the bottom, and to what the reader looks at otherwise: rows
// that are added, removed or grow elsewhere never move the visible ones. It
// asks for older rows through OnNearTop, and has a button back to the bottom.
//
// The caller owns the rows and tells every change of theirs at once (Inserted,
// Removed, Changed, Reset). Everything here belongs to the UI goroutine.
package timeline

import "fyne.io/fyne/v2"

// Key names a row. ID is the row's identity for as long as it exists; Variant
// changes when the row is to be drawn in another way, so that its height and
// its widget are not taken for the old ones. No two rows of a source are equal
// in both.
type Key struct {
	ID      [16]byte
	Variant uint32
}

// Row is a widget that can show any row of its kind.
type Row interface {
	fyne.CanvasObject
	// HeightFor is the height that the row needs at a width.
	HeightFor(width float32) float32
}

// Source is where the rows come from. Indices run from the oldest row.
type Source interface {
	// Len is the number of rows.
	Len() int
	// Key is the name of row i.
	Key(i int) Key
	// Kind says which sort of widget shows row i; widgets are reused within a kind.
	Kind(i int) int
	// NewRow makes a widget of a kind.
	NewRow(kind int) Row
	// Bind puts row i into a widget of its kind.
	Bind(row Row, i int)
}
