namespace Mamba.Cli.Reports.Study;

/// <summary>The rules of the page and its one script, which sorts tables; without the script the page is complete, too.</summary>
internal static class PageStyle
{
    /// <summary>Rules of the page; figures have <see cref="Series.Rules"/>. Without less-than sign and ampersand: XML as it is.</summary>
    public const string Rules = """
        :root{color-scheme:light dark;--back:#fff;--ink:#1f2328;--mute:#59636e;--edge:#d8dee4;--card:#f6f8fa;--link:#0072b2;--hit:#eaf3fa}
        @media (prefers-color-scheme:dark){@media screen{:root{--back:#0d1117;--ink:#e6edf3;--mute:#9aa4ae;--edge:#30363d;--card:#161b22;
        --link:#6cbcf0;--hit:#1c2733}}}
        *{box-sizing:border-box}html{scroll-behavior:smooth;scroll-padding-top:3.5rem;-webkit-text-size-adjust:100%}
        body{margin:0;background:var(--back);color:var(--ink);font:16px/1.55 system-ui,-apple-system,'Segoe UI',Roboto,Arial,sans-serif}
        main,header>div,footer{max-width:1240px;margin:0 auto;padding:0 1.25rem}header{padding:2.5rem 0 1rem}
        h1{font-size:clamp(1.5rem,1.1rem + 2vw,2.25rem);line-height:1.2;margin:0 0 .5rem;overflow-wrap:anywhere}
        h2{font-size:1.4rem;margin:3rem 0 .75rem;padding-bottom:.35rem;border-bottom:1px solid var(--edge)}
        h3{font-size:1.05rem;margin:2rem 0 .5rem}p,li,dd{max-width:75ch;overflow-wrap:anywhere}p{margin:.6rem 0}
        a{color:var(--link)}.mute,figcaption{color:var(--mute)}small{font-size:.85em}
        nav{position:sticky;top:0;z-index:3;background:var(--back);border-bottom:1px solid var(--edge);overflow-x:auto}
        nav ul{display:flex;gap:1.25rem;max-width:1240px;margin:0 auto;padding:.6rem 1.25rem;list-style:none;white-space:nowrap}
        nav a{text-decoration:none}nav a:hover{text-decoration:underline}
        .cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(13.5rem,1fr));gap:.9rem;margin:1.25rem 0;padding:0}
        .cards div{background:var(--card);border:1px solid var(--edge);border-radius:10px;padding:.85rem 1rem;min-width:0}
        .cards dt{color:var(--mute);font-size:.85rem}.cards dd{margin:0;font-weight:600;font-size:1.15rem}
        .cards dd+dd{font-weight:400;font-size:.875rem;color:var(--mute)}
        .scroll{overflow-x:auto;margin:1rem 0;border:1px solid var(--edge);border-radius:10px;-webkit-overflow-scrolling:touch}
        table{border-collapse:separate;border-spacing:0;width:100%;font-size:.875rem;font-variant-numeric:tabular-nums}
        .title{font-weight:600;margin:1.75rem 0 -.4rem}
        th,td{padding:.42rem .8rem;text-align:left;white-space:nowrap}tbody th,tbody td{border-top:1px solid var(--edge)}
        thead th{font-weight:600;background:var(--card);vertical-align:bottom}.n{text-align:right}
        tbody th{font-weight:500}th:first-child{position:sticky;left:0;background:var(--back);z-index:1;border-right:1px solid var(--edge)}
        thead th:first-child{background:var(--card)}tbody tr:hover td,tbody tr:hover th{background:var(--hit)}
        th button{font:inherit;color:inherit;background:none;border:0;padding:0;margin:0;cursor:pointer;text-align:inherit}
        th button::after{content:'\2195';opacity:.35;padding-left:.3em;font-weight:400}
        th[aria-sort=ascending] button::after{content:'\2191';opacity:1}th[aria-sort=descending] button::after{content:'\2193';opacity:1}
        :focus-visible{outline:2px solid var(--link);outline-offset:2px}
        figure{margin:1.25rem 0}figure .pan{overflow-x:auto}figure svg{display:block;width:100%;height:auto}
        figcaption{font-size:.9rem;margin-top:.4rem;max-width:75ch;overflow-wrap:anywhere;min-width:0}
        @media (min-width:1100px){.wide{display:grid;gap:1.75rem;align-items:center;
        grid-template-columns:minmax(0,54rem) minmax(12rem,1fr)}}
        .panels{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,var(--panel,19rem)),1fr));gap:1.25rem 1.5rem}
        .panels figure{margin:0;min-width:0}
        code,pre{font-family:ui-monospace,SFMono-Regular,Consolas,monospace;font-size:.85em}
        pre{background:var(--card);border:1px solid var(--edge);border-radius:8px;padding:.8rem 1rem;overflow-x:auto;white-space:pre-wrap;
        overflow-wrap:anywhere}
        .facts{display:grid;grid-template-columns:minmax(7rem,max-content) 1fr;gap:.3rem 1.25rem;margin:1rem 0}
        .facts dt{color:var(--mute)}.facts dd{margin:0;min-width:0}
        .note{border-left:4px solid #e69f00;background:var(--card);padding:.6rem 1rem;border-radius:0 8px 8px 0;margin:1rem 0;
        max-width:80ch}
        details{margin:1rem 0}summary{cursor:pointer;color:var(--link)}footer{padding:2.5rem 1.25rem;font-size:.875rem}
        #table-runs td:last-child,#table-splits td:last-child{font-family:ui-monospace,Consolas,monospace;font-size:.8rem}
        @media print{nav,th button::after{display:none}body{font-size:10.5pt}main,header>div,footer{max-width:none;padding:0}
        .scroll,figure .pan{overflow:visible}figure svg{min-width:0!important}table{font-size:7pt}th,td{padding:2pt 3pt;white-space:normal}
        h2,h3{break-after:avoid}figure,tr{break-inside:avoid}th:first-child{position:static}}
        @media print{details::details-content{content-visibility:visible;height:auto}}
        """;

    /// <summary>Turns titles of columns into buttons that sort. Without a less-than sign or an ampersand, as <see cref="Rules"/>.</summary>
    public const string Script = """
        'use strict';
        document.querySelectorAll('table.sortable').forEach(function (table) {
          var heads = Array.from(table.tHead.rows[0].cells), body = table.tBodies[0];
          heads.forEach(function (head, column) {
            var button = document.createElement('button'), number = head.classList.contains('n');
            button.type = 'button';
            button.textContent = head.textContent;
            head.replaceChildren(button);
            button.addEventListener('click', function () {
              var first = number ? 'descending' : 'ascending', other = number ? 'ascending' : 'descending';
              var order = head.getAttribute('aria-sort') === first ? other : first;
              heads.forEach(function (h) { h.removeAttribute('aria-sort'); });
              head.setAttribute('aria-sort', order);
              var sign = order === 'ascending' ? 1 : -1;
              var key = function (row) { return row.cells[column].dataset.v || ''; };
              Array.from(body.rows).sort(function (a, b) {
                var x = key(a), y = key(b);
                if (x === '' || y === '') return (x === '') - (y === '');
                return sign * (number ? x - y : x.localeCompare(y, 'en', { numeric: true }));
              }).forEach(function (row) { body.appendChild(row); });
            });
          });
        });
        """;
}
