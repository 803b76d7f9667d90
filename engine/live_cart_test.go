package engine

import "testing"

// TestCartRecipes checks under simulated time that the recipes of docs/QUERY.md do what they promise.
func TestCartRecipes(t *testing.T) {
	x := newStory(t, Config{})
	x.want(x.segment("abandoned", `did "Product Added" then not "Order Completed" within 1 hour in last 7 days`), "")
	x.want(x.segment("to remind", `did "Product Added" then not "Order Completed" within 1 hour in last 7 days and did not "Product Added" then "Order Completed" in last 7 days`), "")
	x.want(x.event("ann", "Product Added", 0), "")
	x.want(x.event("bob", "Product Added", 0), "")
	x.want(x.event("eve", "Order Completed", 0), "") // before her cart: it does not count
	x.want(x.event("eve", "Product Added", 1000), "")
	x.now = testStart + hour - 1
	x.want(x.event("bob", "Order Completed", hour-1), "")
	x.want(x.tick(hour-1), "")
	x.want(x.tick(hour+240), "abandoned +ann time 3600000; to remind +ann time 3600000")
	x.want(x.tick(2*hour), "abandoned +eve time 3601000; to remind +eve time 3601000")
	// A later order does not change the first form. It ends the second immediately, for good.
	x.want(x.event("ann", "Order Completed", 2*hour), "to remind -ann event 7200000")
	x.want(x.tick(3*hour+1), "")
	x.want(x.tick(6*day), "")
	// Both forget the cart after a week. The order expires too: nobody enters again.
	x.want(x.tick(8*day), "abandoned -ann time 604800000; abandoned -eve time 604801000; to remind -eve time 604801000")
	x.want(x.tick(9*day), "")
}
