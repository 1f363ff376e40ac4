package view

import (
	"image"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
)

// captureWithin is when a picture is taken even if no frame was due.
const captureWithin = 500 * time.Millisecond

// Capture takes a picture of the window once everything that has been changed
// so far is drawn, and gives it to done on the UI goroutine.
//
// Frames are counted with an animation, which the toolkit ticks once before
// each of them: when the third tick comes, two frames have been drawn since.
func (w *Window) Capture(done func(image.Image)) {
	var animation *fyne.Animation
	ticks, finished := 0, false
	animation = fyne.NewAnimation(captureWithin, func(progress float32) {
		ticks++
		if finished || (ticks < 3 && progress < 1) {
			canvas.Refresh(w.win.Content()) // the next frame is drawn only if something changed
			return
		}
		finished = true
		animation.Stop()
		done(w.win.Canvas().Capture())
	})
	animation.Start()
}
