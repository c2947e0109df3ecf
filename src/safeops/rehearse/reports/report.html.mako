<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${page.badge}: ${page.subtitle}</title>
<style>
${style | n}</style>
</head>
<body>
<header>
<p class="kind"><span class="badge ${page.state}">${page.badge}</span> Rehearsal of a migration</p>
<h1>${page.headline}</h1>
<p class="quiet"><bdi>${page.subtitle}</bdi></p>
<dl class="figures">
% for figure in page.figures:
<div class="${figure.state}"><dt>${figure.label}</dt><dd><strong>${figure.value}</strong><span>${figure.note}</span></dd></div>
% endfor
</dl>
</header>
<main>
<section id="timeline" aria-labelledby="timeline-title">
<h2 id="timeline-title">What the application would notice</h2>
% if up:
${picture(up, "The numbers above the picture are those of the statements below.")}
% else:
<p>There was no traffic, or the times of the statements are not known: how long requests wait was not measured.</p>
% endif
% for table in requests:
${grid(table)}
% endfor
</section>
<section id="findings" aria-labelledby="findings-title">
<h2 id="findings-title">What to change</h2>
% if not page.findings:
<p>${page.nothing_found}</p>
% endif
% for finding in page.findings:
<article>
<h3>${finding.what}</h3>
% if finding.why:
<p>${finding.why}</p>
% endif
% if finding.sql:
<p class="quiet">Statement\
% if finding.revision:
, in revision <bdi>${finding.revision}</bdi>\
% endif
:</p>
<pre><code>${finding.sql}</code></pre>
% endif
% for place, code in finding.instead:
<p>${place}:</p>
<pre class="instead"><code>${code}</code></pre>
% endfor
% if finding.advice:
<p>${finding.advice}</p>
% endif
% if finding.page:
<p><a href="${finding.page}" rel="noreferrer">More about this rule</a></p>
% endif
</article>
% endfor
</section>
<section id="production" aria-labelledby="production-title">
<h2 id="production-title">How long it takes in production</h2>
% for table in production:
${grid(table)}
<p class="quiet">The range comes from the same run on a tenth of the rows. A busier or slower server takes longer.</p>
% endfor
% if not production:
<p>Not known: production's row counts were not given.</p>
% endif
</section>
<section id="statements" aria-labelledby="statements-title">
<h2 id="statements-title">Statements</h2>
% for table in statements:
${grid(table, "statements")}
% endfor
% if not statements:
<p>No statement was sent.</p>
% endif
</section>
<section id="downgrade" aria-labelledby="downgrade-title">
<h2 id="downgrade-title">The downgrade</h2>
<ul>
% for text in page.downgrade:
<li>${text}</li>
% endfor
</ul>
% if page.differences:
<p>Differences:</p>
<ul class="differences">
% for difference in page.differences:
<li><bdi>${difference}</bdi></li>
% endfor
</ul>
% endif
% if down:
${picture(down, "The same during the downgrade.")}
% endif
% for table in downgrade:
${grid(table, "statements")}
% endfor
</section>
<section id="measured" aria-labelledby="measured-title">
<h2 id="measured-title">How it was measured</h2>
<dl class="facts">
% for label, text in page.facts:
<div><dt>${label}</dt><dd><bdi>${text}</bdi></dd></div>
% endfor
</dl>
</section>
</main>
</body>
</html>
<%def name="picture(drawn, text)">
<figure>
${drawn["svg"]["wide"] | n}
${drawn["svg"]["narrow"] | n}
<figcaption>
<ul class="legend" aria-label="Legend">
<li class="free">free: nothing waits</li>
<li class="brief">brief: a strong lock for milliseconds</li>
<li class="writes-wait">writes wait</li>
<li class="all-wait">reads and writes wait</li>
<li class="latency">the slowest request at that time</li>
% if page.budgets.get("max_wait") is not None:
<li class="budget">the budget for a wait</li>
% endif
</ul>
<p>${text}\
% if drawn["left_out"]:
 ${drawn["left_out"]} more tables, on which requests waited less, are only in the table.\
% endif
</p>
</figcaption>
</figure>
</%def>
<%def name="grid(table, kind='')">
<table role="table" class="${kind}">
<caption>${table.caption}</caption>
<thead role="rowgroup">
<tr role="row">\
% for head in table.heads:
<th role="columnheader" scope="col">${head}</th>\
% endfor
</tr>
</thead>
<tbody role="rowgroup">
% for row in table.rows:
<tr role="row">\
% for head, cell in zip(table.heads, row):
<% name, role = ("td", "cell") if loop.index else ("th", "rowheader") %>\
<${name} role="${role}" ${"" if loop.index else 'scope="row" ' | n}class="${cell.kind}" data-head="${head}"><bdi>${cell.text}</bdi>\
% if cell.note:
<small>${cell.note}</small>\
% endif
</${name}>\
% endfor
</tr>
% endfor
</tbody>
</table>
% if table.note:
<p class="quiet">${table.note}</p>
% endif
</%def>
